#![cfg_attr(fuzzing, no_main)]
nsexec_fuzz::target!(nsexec_fuzz::ns_paths);

#![cfg_attr(fuzzing, no_main)]
nsexec_fuzz::target!(nsexec_fuzz::landlock_json);

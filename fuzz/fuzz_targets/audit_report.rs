#![cfg_attr(fuzzing, no_main)]
nsexec_fuzz::target!(nsexec_fuzz::audit_report);

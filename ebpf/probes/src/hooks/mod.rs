//! The BPF programs.
//!
//! There are few programs, each for as many hooks as possible: the verifier checks every
//! program separately, which determines the start-up time.

mod call;
mod iter_task;
mod sched_process_exec;
mod sched_process_exit;
mod task_newtask;
mod tracepoint;
mod trampoline;

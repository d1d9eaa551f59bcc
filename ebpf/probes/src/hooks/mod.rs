//! The programs.
//!
//! Few of them, each for all that it can serve: the verifier goes over every
//! program on its own, and that is what starting takes.

mod call;
mod iter_task;
mod sched_process_exec;
mod sched_process_exit;
mod task_newtask;
mod tracepoint;
mod trampoline;

//! Five independent answers to the same question: which action does this profile
//! give this call?
//!
//! | oracle | method |
//! |---|---|
//! | the evaluator | `Profile::evaluate`, from the rules themselves; the reference for the others |
//! | the program | nsexec's compiled program, in nsexec's interpreter |
//! | [`stacked`] | seccompiler's own filters, one per action, in the interpreter |
//! | [`libseccomp`] | libseccomp's filter, in the interpreter |
//! | [`kernel`] | the program, in the running kernel |
#![forbid(unsafe_code)]

pub mod kernel;
pub mod libseccomp;
pub mod options;
pub mod profiles;
pub mod random;
pub mod rounds;
pub mod stacked;
pub mod sweep;
pub mod timing;
pub mod tool;

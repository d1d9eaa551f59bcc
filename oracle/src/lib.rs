//! Five answers to the same question: what happens to this call under this
//! profile?
//!
//! | who | how |
//! |---|---|
//! | the evaluator | `Profile::evaluate`, from the rules themselves; the others are held to it |
//! | the program | what nsexec loads, in nsexec's interpreter |
//! | [`stacked`] | seccompiler's own filters, one an action, in the interpreter |
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

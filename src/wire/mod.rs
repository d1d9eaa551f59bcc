//! Protocol A: environment and initConfig JSON -> meaning.
#![forbid(unsafe_code)]

//! The value for `/proc/self/oom_score_adj`, proc_pid_oom_score_adj(5).

use std::fmt;

use nsexec_kernel_text::procfs::decimal::signed;
use nsexec_text::Fault;

/// Why a text is not a valid adjustment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomScoreAdjErrorKind {
    /// Not a decimal number from -1000 to 1000.
    Number,
}

/// The adjustment in `text`: -1000 to 1000, in the format of `%d`.
///
/// # Errors
/// It is invalid.
pub fn parse(text: &[u8]) -> Result<i16, Fault<OomScoreAdjErrorKind>> {
    signed(text)
        .filter(|score| (-1000..=1000).contains(score))
        .ok_or_else(|| Fault::new(0..text.len(), OomScoreAdjErrorKind::Number))
}

impl fmt::Display for OomScoreAdjErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => {
                f.write_str("invalid oom_score_adj; give a decimal number from -1000 to 1000")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adjustment_is_a_number_in_its_range() {
        for score in -1000_i16..=1000 {
            assert_eq!(parse(score.to_string().as_bytes()), Ok(score));
        }
        for wrong in [
            "",
            "-",
            "1001",
            "-1001",
            "+1",
            "-0",
            "01",
            " 1",
            "1\n",
            "1\0",
            "0x1",
            "99999999999",
        ] {
            let fault = Fault::new(0..wrong.len(), OomScoreAdjErrorKind::Number);
            assert_eq!(parse(wrong.as_bytes()), Err(fault), "{wrong:?}");
        }
    }
}

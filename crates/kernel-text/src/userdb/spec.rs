//! The user to run as, in the format of libcontainer's `user`.
//!
//! ```text
//! ""  |  user  |  user:group        user, group = name or number
//! ```
//!
//! A string of digits is always a number and never a name: in CVE-2016-3697 a
//! passwd line with the name `1000` and uid 0 made user 1000 root.

use std::fmt;

use crate::procfs::decimal::decimal;
use nsexec_text::Fault;

/// Longest name: LOGIN_NAME_MAX without its NUL, limits.h.
pub const MAX_NAME: usize = 255;

/// Largest id that a specification can name: libcontainer's own limit.
pub const MAX_ID: u32 = 0x7fff_ffff;

/// The user to run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSpec {
    /// No user is named: the helper's own ids.
    Unset,
    /// This one.
    User {
        /// The user.
        user: Account,
        /// The group; `None`: the user's primary group, and the groups that list the user.
        group: Option<Account>,
    },
}

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// By number.
    Id(Id),
    /// By name.
    Name(Name),
}

/// A user or group id: 0 to [`MAX_ID`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(u32);

impl Id {
    /// `None` when `id` is above [`MAX_ID`].
    #[must_use]
    pub fn new(id: u32) -> Option<Self> {
        (id <= MAX_ID).then_some(Self(id))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// A name that a passwd or group file can have: 1 to [`MAX_NAME`] bytes, not all
/// digits; no white space, control character, `:` or `,`; no `+` or `-` in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a specification is invalid, and the correct form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserSpecErrorKind {
    /// Nothing before the `:`, or nothing after it.
    Empty,
    /// A second `:`.
    ThirdPart,
    /// A number with a leading zero.
    LeadingZero,
    /// A number above [`MAX_ID`].
    Range,
    /// Neither a number nor a possible name.
    Name,
    /// A name of more than [`MAX_NAME`] bytes.
    TooLong,
}

impl UserSpec {
    /// Parses a specification.
    ///
    /// # Errors
    /// The first part of it that is neither a number nor a name.
    pub fn parse(text: &str) -> Result<Self, Fault<UserSpecErrorKind>> {
        if text.is_empty() {
            return Ok(Self::Unset);
        }
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let group_at = user.len() + 1;
        if let Some(group) = group
            && let Some(colon) = group.find(':')
        {
            return Err(Fault::new(
                group_at + colon..text.len(),
                UserSpecErrorKind::ThirdPart,
            ));
        }
        Ok(Self::User {
            user: Account::parse(user).map_err(|reason| Fault::new(0..user.len(), reason))?,
            group: group
                .map(Account::parse)
                .transpose()
                .map_err(|reason| Fault::new(group_at..text.len(), reason))?,
        })
    }
}

impl Account {
    /// The user or group that `text` names.
    ///
    /// # Errors
    /// It is neither a number nor a name.
    pub fn parse(text: &str) -> Result<Self, UserSpecErrorKind> {
        if text.is_empty() {
            return Err(UserSpecErrorKind::Empty);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            if text.len() > 1 && text.starts_with('0') {
                return Err(UserSpecErrorKind::LeadingZero);
            }
            let id = decimal(text.as_bytes()).and_then(Id::new);
            return id.map(Self::Id).ok_or(UserSpecErrorKind::Range);
        }
        if text.len() > MAX_NAME {
            return Err(UserSpecErrorKind::TooLong);
        }
        let outside = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | ',');
        if text.starts_with(['+', '-']) || text.contains(outside) {
            return Err(UserSpecErrorKind::Name);
        }
        Ok(Self::Name(Name(text.to_owned())))
    }
}

impl fmt::Display for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => Ok(()),
            Self::User { user, group: None } => user.fmt(f),
            Self::User {
                user,
                group: Some(group),
            } => write!(f, "{user}:{group}"),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.get().fmt(f),
            Self::Name(name) => f.write_str(name.as_str()),
        }
    }
}

impl fmt::Display for UserSpecErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty user or group; write USER or USER:GROUP"),
            Self::ThirdPart => f.write_str("a second \":\"; write USER or USER:GROUP"),
            Self::LeadingZero => f.write_str("a number with a leading zero; leave it out"),
            Self::Range => write!(f, "Uids and gids must be in range 0-{MAX_ID}"),
            Self::Name => f.write_str(
                "neither a number nor a name; a name has no white space, control character, \
                 \":\" or \",\", and does not begin with \"+\" or \"-\"",
            ),
            Self::TooLong => write!(f, "a name of more than {MAX_NAME} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn reason(text: &str) -> UserSpecErrorKind {
        UserSpec::parse(text)
            .expect_err("it should be refused")
            .reason
    }

    fn id(id: u32) -> Account {
        Account::Id(Id::new(id).expect("in range"))
    }

    fn name(name: &str) -> Account {
        Account::Name(Name(name.to_owned()))
    }

    #[test]
    fn every_form_of_the_grammar() {
        let user = |user, group| UserSpec::User { user, group };
        for (text, meaning) in [
            ("", UserSpec::Unset),
            ("bob", user(name("bob"), None)),
            ("1000", user(id(1000), None)),
            ("0", user(id(0), None)),
            ("2147483647", user(id(MAX_ID), None)),
            ("bob:wheel", user(name("bob"), Some(name("wheel")))),
            ("bob:10", user(name("bob"), Some(id(10)))),
            ("1:2", user(id(1), Some(id(2)))),
            ("1:wheel", user(id(1), Some(name("wheel")))),
            ("1000x", user(name("1000x"), None)),
            ("_apt", user(name("_apt"), None)),
            ("jürgen", user(name("jürgen"), None)),
            ("b.o-b$", user(name("b.o-b$"), None)),
        ] {
            assert_eq!(UserSpec::parse(text), Ok(meaning), "{text:?}");
        }
    }

    #[test]
    fn an_invalid_user_is_an_error_and_never_root() {
        for (text, wrong) in [
            (":", UserSpecErrorKind::Empty),
            (":wheel", UserSpecErrorKind::Empty),
            ("bob:", UserSpecErrorKind::Empty),
            ("1:2:3", UserSpecErrorKind::ThirdPart),
            ("a::b", UserSpecErrorKind::ThirdPart),
            ("00", UserSpecErrorKind::LeadingZero),
            ("012", UserSpecErrorKind::LeadingZero),
            ("1:01", UserSpecErrorKind::LeadingZero),
            ("2147483648", UserSpecErrorKind::Range),
            ("4294967295", UserSpecErrorKind::Range),
            ("4294967296", UserSpecErrorKind::Range),
            ("99999999999999999999999", UserSpecErrorKind::Range),
            ("1:4294967296", UserSpecErrorKind::Range),
            ("-1", UserSpecErrorKind::Name),
            ("+3", UserSpecErrorKind::Name),
            (" ", UserSpecErrorKind::Name),
            ("1 ", UserSpecErrorKind::Name),
            ("bob\n", UserSpecErrorKind::Name),
            ("bob,eve", UserSpecErrorKind::Name),
            ("b\0b", UserSpecErrorKind::Name),
            ("b\u{85}b", UserSpecErrorKind::Name),
        ] {
            assert_eq!(reason(text), wrong, "{text:?}");
        }
    }

    #[test]
    fn names_are_bounded() {
        let longest = "n".repeat(MAX_NAME);
        assert!(UserSpec::parse(&longest).is_ok());
        assert_eq!(reason(&format!("{longest}n")), UserSpecErrorKind::TooLong);
    }

    #[test]
    fn the_span_is_that_of_the_wrong_part() {
        let part = |text: &str| {
            let fault = UserSpec::parse(text).expect_err("it should be refused");
            text.get(fault.span).map(str::to_owned)
        };
        assert_eq!(part("bob:012").as_deref(), Some("012"));
        assert_eq!(part("-1:2").as_deref(), Some("-1"));
        assert_eq!(part("a:b:c").as_deref(), Some(":c"));
    }

    proptest! {
        #[test]
        fn a_parsed_specification_prints_as_written(
            text in prop_oneof!["[0-9a-z:+-]{0,12}", any::<String>()]
        ) {
            if let Ok(spec) = UserSpec::parse(&text) {
                prop_assert_eq!(spec.to_string(), text);
            }
        }

        #[test]
        fn digits_are_never_a_name(text in "[0-9]{1,12}") {
            let named = matches!(Account::parse(&text), Ok(Account::Name(_)));
            prop_assert!(!named);
        }
    }
}

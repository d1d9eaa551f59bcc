//! `includes` and `excludes`: the conditions of an entry.

use serde::Deserialize;

use nsexec_kernel_text::capability::Capability;
use nsexec_text::Fault;
use nsexec_text::json::Step;

use super::super::{Filter, ProfileErrorKind};
use super::{Text, Within};
use crate::seccomp::table::is_go_architecture;

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "conditions of an entry"
)]
pub(super) struct RawFilter<'a> {
    #[serde(borrow)]
    caps: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    arches: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    min_kernel: Option<Text<'a>>,
}

pub(super) fn filter(
    written: Option<&RawFilter<'_>>,
    key: &str,
    within: Within<'_>,
) -> Result<Filter, Fault<ProfileErrorKind>> {
    let Some(written) = written else {
        return Ok(Filter::EMPTY);
    };
    let path = [within.path, &[Step::Key(key)]].concat();
    let within = Within {
        path: &path,
        ..within
    };
    let text = within.text;
    let mut filter = Filter::EMPTY;
    for (key, list) in [("caps", &written.caps), ("arches", &written.arches)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            return Err(within.fault(key, ProfileErrorKind::Empty(key)));
        }
    }
    for name in written.caps.iter().flatten() {
        let known = Capability::from_name(&name.0);
        let unknown = || {
            name.fault(
                text,
                ProfileErrorKind::UnknownCapability(name.0.to_string()),
            )
        };
        filter.caps.push(known.ok_or_else(unknown)?);
    }
    for name in written.arches.iter().flatten() {
        if !is_go_architecture(&name.0) {
            let unknown = ProfileErrorKind::UnknownArchitecture(name.0.to_string(), "amd64");
            return Err(name.fault(text, unknown));
        }
        filter.arches.push(name.0.to_string());
    }
    if let Some(version) = &written.min_kernel {
        let wrong = || version.fault(text, ProfileErrorKind::Kernel(version.0.to_string()));
        filter.min_kernel = Some(kernel(&version.0).ok_or_else(wrong)?);
    }
    Ok(filter)
}

/// `4.8`, without signs, blanks or leading zeros.
pub(in crate::seccomp::oci) fn kernel(version: &str) -> Option<(u32, u32)> {
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let zero = digits.len() > 1 && digits.starts_with('0');
        if plain && !zero {
            digits.parse().ok()
        } else {
            None
        }
    };
    let (major, minor) = version.split_once('.')?;
    Some((number(major)?, number(minor)?))
}

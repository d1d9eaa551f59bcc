//! The raw manifest, and its resolution key by key.

use serde::Deserialize;
use toml::Spanned;

use super::{
    BestEffort, FileName, LayerSet, Manifest, ManifestErrorKind, Origin, Part, Source, Sources,
    is_reason,
};
use crate::policy::resolved::{LogFlag, Right};
use nsexec_text::Fault;
use nsexec_text::json::{Object, object};
use process::RawProcess;

mod process;

/// The text, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawManifest {
    seccomp: Spanned<String>,
    seccomp_reason: Option<Spanned<String>>,
    landlock: Spanned<String>,
    landlock_reason: Option<Spanned<String>>,
    #[serde(deserialize_with = "object")]
    ceiling: RawCeiling,
    #[serde(deserialize_with = "object")]
    process: RawProcess,
    #[serde(rename = "tty", deserialize_with = "object")]
    _tty: RawTty,
    #[serde(deserialize_with = "object")]
    fds: RawFds,
    best_effort: Option<Vec<Object<RawBestEffort>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawCeiling {
    seccomp: Spanned<String>,
    seccomp_reason: Option<Spanned<String>>,
    landlock: Spanned<String>,
    landlock_reason: Option<Spanned<String>>,
}

/// The only session there is yet; spelled out, so that files keep their meaning
/// when there is another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawTty {
    #[serde(rename = "session")]
    _session: RawSession,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", expecting = "\"caller\"")]
enum RawSession {
    Caller,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawFds {
    preserve: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawBestEffort {
    layer: Spanned<String>,
    right: Option<Spanned<String>>,
    log: Option<Spanned<String>>,
    reason: Spanned<String>,
}

impl RawManifest {
    pub(super) fn resolve(&self) -> Result<Manifest, Fault<ManifestErrorKind>> {
        let ceiling = &self.ceiling;
        let best_effort = best_effort(self.best_effort.as_deref().unwrap_or_default())?;
        Ok(Manifest {
            workload: sources(
                (&self.seccomp, self.seccomp_reason.as_ref()),
                (&self.landlock, self.landlock_reason.as_ref()),
            )?,
            ceiling: sources(
                (&ceiling.seccomp, ceiling.seccomp_reason.as_ref()),
                (&ceiling.landlock, ceiling.landlock_reason.as_ref()),
            )?,
            process: self.process.resolve(&best_effort)?,
            preserve_fds: self.fds.preserve,
            best_effort,
        })
    }
}

/// A layer's key, and the key of its reason.
type Written<'a> = (&'a Spanned<String>, Option<&'a Spanned<String>>);

fn sources(
    seccomp: Written<'_>,
    landlock: Written<'_>,
) -> Result<Sources, Fault<ManifestErrorKind>> {
    Ok(Sources {
        seccomp: source(seccomp, "seccomp_reason")?,
        landlock: source(landlock, "landlock_reason")?,
    })
}

fn source(
    (written, reason): Written<'_>,
    key: &'static str,
) -> Result<Source, Fault<ManifestErrorKind>> {
    let at = |why| Fault::new(written.span(), why);
    let origin = match (written.get_ref().as_str(), reason) {
        ("none", None) => return Err(at(ManifestErrorKind::Unexplained(key))),
        ("none", Some(reason)) => Origin::None {
            reason: reason_text(reason, key)?,
        },
        (_, Some(reason)) => {
            return Err(Fault::new(
                reason.span(),
                ManifestErrorKind::NothingToExplain(key),
            ));
        }
        (name, None) => {
            let wrong = || at(ManifestErrorKind::FileName(name.to_owned()));
            Origin::File(FileName::new(name).ok_or_else(wrong)?)
        }
    };
    Ok(Source {
        span: written.span(),
        origin,
    })
}

fn reason_text(
    reason: &Spanned<String>,
    key: &'static str,
) -> Result<String, Fault<ManifestErrorKind>> {
    if is_reason(reason.get_ref()) {
        Ok(reason.get_ref().clone())
    } else {
        Err(Fault::new(
            reason.span(),
            ManifestErrorKind::Explanation(key),
        ))
    }
}

fn best_effort(all: &[Object<RawBestEffort>]) -> Result<Vec<BestEffort>, Fault<ManifestErrorKind>> {
    let mut meant: Vec<BestEffort> = Vec::with_capacity(all.len());
    for written in all {
        let Object(RawBestEffort {
            layer,
            right,
            log,
            reason,
        }) = written;
        // The name of the optional part.
        let span = log.as_ref().or(right.as_ref()).unwrap_or(layer).span();
        let at = |why| Fault::new(span.clone(), why);
        let (layer_set, whole) = match layer.get_ref().as_str() {
            "landlock" => (LayerSet::Workload, Part::Layer),
            "ceiling.landlock" => (LayerSet::Ceiling, Part::Layer),
            "cgroup" => (LayerSet::Workload, Part::Cgroup),
            "seccomp" | "ceiling.seccomp" => {
                return Err(Fault::new(
                    layer.span(),
                    ManifestErrorKind::SeccompBestEffort,
                ));
            }
            other => {
                let unknown = ManifestErrorKind::UnknownLayer(other.to_owned());
                return Err(Fault::new(layer.span(), unknown));
            }
        };
        let part = match (right, log) {
            (None, None) => whole,
            _ if whole == Part::Cgroup => return Err(at(ManifestErrorKind::NoParts("cgroup"))),
            (Some(name), None) => Part::Right(newer_right(name)?),
            (None, Some(name)) => match LogFlag::from_name(name.get_ref()) {
                Some(flag) => Part::Log(flag),
                None => return Err(at(ManifestErrorKind::UnknownFlag(name.get_ref().clone()))),
            },
            (Some(_), Some(_)) => return Err(at(ManifestErrorKind::TwoParts)),
        };
        if meant
            .iter()
            .any(|b| b.layer_set == layer_set && b.part == part)
        {
            return Err(at(ManifestErrorKind::RepeatedBestEffort));
        }
        meant.push(BestEffort {
            span,
            layer_set,
            part,
            reason: reason_text(reason, "reason")?,
        });
    }
    Ok(meant)
}

/// A right that some kernel lacks although it supports the layer.
fn newer_right(name: &Spanned<String>) -> Result<Right, Fault<ManifestErrorKind>> {
    let at = |reason| Err(Fault::new(name.span(), reason));
    match Right::from_name(name.get_ref()) {
        // Below ABI 2 the layer as a whole is in question.
        Some(right) if right.abi() <= 2 => at(ManifestErrorKind::OldRight(right)),
        Some(right) => Ok(right),
        None => at(ManifestErrorKind::UnknownRight(name.get_ref().clone())),
    }
}

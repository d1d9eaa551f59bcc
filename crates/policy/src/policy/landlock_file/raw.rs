//! A raw rule file, with the keys of the TOML form, and its resolution.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::variables::Variables;
use super::{Form, GROUPS, Landlock, LandlockFileErrorKind, MAX_PLACES, Places, is_plain_absolute};
use crate::policy::resolved::{BeneathRule, PortRule};
use crate::policy::right::{Kind, LogFlag, NEWEST_ABI, Right};
use nsexec_text::Fault;
use nsexec_text::json::{Object, plain_words};

/// A list, with the spans of the list and of its items.
pub(super) type List<T> = Spanned<Vec<Spanned<T>>>;

/// The text, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRules {
    pub(super) abi: Spanned<i64>,
    pub(super) variable: Option<List<Object<RawVariable>>>,
    pub(super) ruleset: List<Object<Ruleset>>,
    pub(super) path_beneath: Option<List<Object<Beneath>>>,
    pub(super) net_port: Option<List<Object<Ports>>>,
    #[serde(rename = "x-nsexec")]
    pub(super) extension: Option<Object<Extension>>,
}

/// A variable: its name and its values.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVariable {
    pub(super) name: Spanned<String>,
    pub(super) literal: List<String>,
}

/// Handled rights.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ruleset {
    pub(super) handled_access_fs: Option<List<String>>,
    pub(super) handled_access_net: Option<List<String>>,
    pub(super) scoped: Option<List<String>>,
}

/// Rights granted below paths.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Beneath {
    pub(super) allowed_access: List<String>,
    pub(super) parent: List<String>,
}

/// Rights granted for ports.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ports {
    pub(super) allowed_access: List<String>,
    pub(super) port: List<i64>,
}

/// Our extension of landlockconfig.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Extension {
    pub(super) log: List<String>,
}

impl RawRules {
    pub(super) fn from_toml(text: &str) -> Result<Self, Fault<LandlockFileErrorKind>> {
        toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            Fault::new(
                span,
                LandlockFileErrorKind::Toml(plain_words(error.message())),
            )
        })
    }

    /// Resolves the file; errors name keys as `form` spells them.
    pub(super) fn resolve(
        &self,
        form: Form,
    ) -> Result<(Landlock, Places), Fault<LandlockFileErrorKind>> {
        let abi = match u8::try_from(*self.abi.get_ref()) {
            Ok(abi @ 1..=NEWEST_ABI) => abi,
            _ => {
                let unknown = LandlockFileErrorKind::Abi(*self.abi.get_ref());
                return Err(Fault::new(self.abi.span(), unknown));
            }
        };
        let [ruleset] = self.ruleset.get_ref().as_slice() else {
            let count = self.ruleset.get_ref().len();
            return Err(Fault::new(
                self.ruleset.span(),
                LandlockFileErrorKind::Rulesets(count),
            ));
        };
        let reader = Reader { form, abi };
        let mut variables = reader.variables(self.variable.as_ref())?;
        let handled = reader.handled(&ruleset.get_ref().0)?;
        if handled.is_empty() {
            return Err(Fault::new(
                ruleset.span(),
                LandlockFileErrorKind::Empty("ruleset"),
            ));
        }
        let (handled, handled_at): (Vec<Right>, Vec<Range<usize>>) = handled.into_iter().unzip();
        let beneath = reader.beneath(self.path_beneath.as_ref(), &handled, &mut variables)?;
        let (beneath, beneath_at) = beneath.into_iter().unzip();
        let ports = reader.ports(self.net_port.as_ref(), &handled)?;
        variables.all_used()?;
        let log = match &self.extension {
            Some(Object(extension)) => reader.log(&extension.log)?,
            None => Vec::new(),
        };
        let rules = Landlock {
            handled,
            beneath,
            ports,
            log,
        };
        let places = Places {
            handled: handled_at,
            beneath: beneath_at,
        };
        Ok((rules, places))
    }
}

/// The context for resolving a part.
struct Reader {
    form: Form,
    abi: u8,
}

impl Reader {
    fn variables(
        &self,
        written: Option<&List<Object<RawVariable>>>,
    ) -> Result<Variables, Fault<LandlockFileErrorKind>> {
        let mut variables = Variables::NONE;
        for written in self.optional("variable", written)? {
            let Object(written) = written.get_ref();
            variables.define(&written.name, self.items("literal", &written.literal)?)?;
        }
        Ok(variables)
    }

    fn handled(
        &self,
        ruleset: &Ruleset,
    ) -> Result<Vec<(Right, Range<usize>)>, Fault<LandlockFileErrorKind>> {
        let lists = [
            ("handled_access_fs", &ruleset.handled_access_fs, Kind::Fs),
            ("handled_access_net", &ruleset.handled_access_net, Kind::Net),
            ("scoped", &ruleset.scoped, Kind::Scope),
        ];
        let mut all = Vec::new();
        for (key, names, kind) in lists {
            if let Some(names) = names {
                all.extend(self.rights(key, names, kind)?);
            }
        }
        Ok(all)
    }

    fn beneath(
        &self,
        written: Option<&List<Object<Beneath>>>,
        handled: &[Right],
        variables: &mut Variables,
    ) -> Result<Vec<(BeneathRule, Range<usize>)>, Fault<LandlockFileErrorKind>> {
        let mut rules: Vec<(BeneathRule, Range<usize>)> = Vec::new();
        for written in self.optional("path_beneath", written)? {
            let Object(written) = written.get_ref();
            let rights = self.granted(&written.allowed_access, Kind::Fs, handled)?;
            for parent in self.items("parent", &written.parent)? {
                let at = |reason| Fault::new(parent.span(), reason);
                for path in variables.paths(parent.get_ref()).map_err(at)? {
                    if !is_plain_absolute(&path) {
                        return Err(at(LandlockFileErrorKind::Path(path)));
                    }
                    if rules.iter().any(|(rule, _)| rule.path == Path::new(&path)) {
                        return Err(at(LandlockFileErrorKind::RepeatedPath(path)));
                    }
                    if rules.len() == MAX_PLACES {
                        return Err(at(LandlockFileErrorKind::TooMany("parent")));
                    }
                    let rule = BeneathRule {
                        path: path.into(),
                        rights: rights.clone(),
                    };
                    rules.push((rule, parent.span()));
                }
            }
        }
        Ok(rules)
    }

    fn ports(
        &self,
        written: Option<&List<Object<Ports>>>,
        handled: &[Right],
    ) -> Result<Vec<PortRule>, Fault<LandlockFileErrorKind>> {
        let mut rules: Vec<PortRule> = Vec::new();
        for written in self.optional("net_port", written)? {
            let Object(written) = written.get_ref();
            let rights = self.granted(&written.allowed_access, Kind::Net, handled)?;
            for number in self.items("port", &written.port)? {
                let at = |reason| Fault::new(number.span(), reason);
                let Ok(port) = u16::try_from(*number.get_ref()) else {
                    return Err(at(LandlockFileErrorKind::Port(*number.get_ref())));
                };
                if rules.iter().any(|rule| rule.port == port) {
                    return Err(at(LandlockFileErrorKind::RepeatedPort(port)));
                }
                if rules.len() == MAX_PLACES {
                    return Err(at(LandlockFileErrorKind::TooMany("port")));
                }
                rules.push(PortRule {
                    port,
                    rights: rights.clone(),
                });
            }
        }
        Ok(rules)
    }

    fn granted(
        &self,
        names: &List<String>,
        kind: Kind,
        handled: &[Right],
    ) -> Result<Vec<Right>, Fault<LandlockFileErrorKind>> {
        let rights = self.rights("allowed_access", names, kind)?;
        for (right, span) in &rights {
            if !handled.contains(right) {
                return Err(Fault::new(
                    span.clone(),
                    LandlockFileErrorKind::NotHandled(*right),
                ));
            }
        }
        Ok(rights.into_iter().map(|(right, _)| right).collect())
    }

    fn rights(
        &self,
        key: &'static str,
        names: &List<String>,
        kind: Kind,
    ) -> Result<Vec<(Right, Range<usize>)>, Fault<LandlockFileErrorKind>> {
        let mut rights: Vec<(Right, Range<usize>)> = Vec::new();
        for written in self.items(key, names)? {
            let at = |reason| Fault::new(written.span(), reason);
            let name = written.get_ref();
            let known = Right::from_name(name).filter(|right| right.kind() == kind);
            let Some(right) = known else {
                return Err(at(if GROUPS.contains(&name.as_str()) {
                    LandlockFileErrorKind::Group(name.clone())
                } else {
                    LandlockFileErrorKind::UnknownRight(name.clone())
                }));
            };
            if right.abi() > self.abi {
                let abi = self.abi;
                return Err(at(LandlockFileErrorKind::NewerRight { right, abi }));
            }
            if rights.iter().any(|(other, _)| *other == right) {
                return Err(at(LandlockFileErrorKind::RepeatedRight(right)));
            }
            rights.push((right, written.span()));
        }
        Ok(rights)
    }

    fn log(&self, names: &List<String>) -> Result<Vec<LogFlag>, Fault<LandlockFileErrorKind>> {
        let mut flags = Vec::new();
        for written in self.items("log", names)? {
            let at = |reason| Fault::new(written.span(), reason);
            let name = written.get_ref();
            let Some(flag) = LogFlag::from_name(name) else {
                return Err(at(LandlockFileErrorKind::UnknownFlag(name.clone())));
            };
            if LogFlag::ABI > self.abi {
                let abi = self.abi;
                return Err(at(LandlockFileErrorKind::NewerFlag { flag, abi }));
            }
            if flags.contains(&flag) {
                return Err(at(LandlockFileErrorKind::RepeatedFlag(flag)));
            }
            flags.push(flag);
        }
        Ok(flags)
    }

    /// The items of a list, which must not be empty.
    fn items<'a, T>(
        &self,
        key: &'static str,
        list: &'a List<T>,
    ) -> Result<&'a [Spanned<T>], Fault<LandlockFileErrorKind>> {
        match list.get_ref().as_slice() {
            [] => Err(Fault::new(
                list.span(),
                LandlockFileErrorKind::Empty(self.form.key(key)),
            )),
            items => Ok(items),
        }
    }

    /// The items of a list that may be absent.
    fn optional<'a, T>(
        &self,
        key: &'static str,
        list: Option<&'a List<T>>,
    ) -> Result<&'a [Spanned<T>], Fault<LandlockFileErrorKind>> {
        list.map_or(Ok(&[]), |list| self.items(key, list))
    }
}

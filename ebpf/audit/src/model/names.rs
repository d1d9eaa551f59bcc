//! Values that have fixed names: in JSON, on the command line and in text.

use nsexec_audit_abi::code::{Abi, Kind, Slot, Source, Syscall};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize as _, Deserializer};
use serde::ser::Serializer;

/// A type whose values have names.
pub trait Name: Copy + PartialEq + 'static {
    /// Every value.
    const ALL: &'static [Self];

    /// The name of a value.
    fn name(self) -> &'static str;

    /// The value of this name.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }
}

/// Defines an enumeration of values with names.
macro_rules! names {
    ($(#[$about:meta])* pub enum $name:ident {
        $($(#[$doc:meta])* $variant:ident => $text:literal,)+
    }) => {
        $(#[$about])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
            serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl $crate::model::names::Name for $name {
            const ALL: &'static [Self] = Self::ALL;

            fn name(self) -> &'static str {
                self.name()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::model::names::schema::<Self>(generator)
            }
        }
    };
}

pub(crate) use names;

macro_rules! named {
    ($($name:ident)+) => {$(
        impl Name for $name {
            const ALL: &'static [Self] = Self::ALL;

            fn name(self) -> &'static str {
                self.name()
            }
        }
    )+};
}

named!(Abi Kind Slot Source Syscall);

/// `#[serde(with = "names::by_name")]` for types of the ABI.
pub(crate) mod by_name {
    use serde::Deserialize as _;

    use super::{Deserializer, Name, Serializer};

    pub(crate) fn serialize<T: Name, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.name())
    }

    pub(crate) fn deserialize<'de, T: Name, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let name = String::deserialize(from)?;
        T::from_name(&name).ok_or_else(|| super::unknown::<T, _>(&name))
    }
}

/// An error that lists the names.
pub(crate) fn unknown<T: Name, E: de::Error>(name: &str) -> E {
    let all: Vec<&str> = T::ALL.iter().map(|one| one.name()).collect();
    E::custom(format!(
        "unknown name {name:?}, expected {}",
        all.join(", ")
    ))
}

/// Reads an array of names.
pub(crate) fn several<'de, T: Name, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    names
        .iter()
        .map(|name| T::from_name(name).ok_or_else(|| unknown::<T, _>(name)))
        .collect()
}

/// The schema of a name.
pub(crate) fn schema<T: Name>(_: &mut SchemaGenerator) -> Schema {
    let all: Vec<&str> = T::ALL.iter().map(|one| one.name()).collect();
    json_schema!({ "enum": all })
}

/// Implements `Serialize`, `Deserialize` and `JsonSchema` of types that are a text in
/// JSON, by their `Display` and `FromStr`.
macro_rules! as_text {
    ($($name:ident $description:literal)+) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(|()| {
                    serde::de::Error::custom(format!("{text:?} is not {}", $description))
                })
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $description })
            }
        }
    )+};
}

pub(crate) use as_text;

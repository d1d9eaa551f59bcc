//! A manifest and its files, made ready to apply.

use std::ops::Range;

use crate::policy::encode::check;
use crate::policy::landlock_file::{self, Form, Landlock, Places};
use crate::policy::manifest::{
    self, BestEffort, FileName, LayerSet, Manifest, Origin, Part, Source,
};
use crate::policy::needs;
use crate::policy::resolved::{
    Capabilities, HandledRight, LandlockRules, Layer, Layers, LogFlag, RequestedLogFlag, Require,
    ResolvedPolicy, Right,
};
use crate::seccomp::compile::{self, CompileFault};
use crate::seccomp::oci::{self, Conditional, Context};
use crate::seccomp::profile::Profile;
use crate::seccomp::program::Program;

mod error;

pub use error::{FileFault, Place, PolicyErrorKind, PolicyFault};

/// The name that a manifest has in a [`PolicyFault`].
pub const MANIFEST: &str = "manifest";

/// Access to the files that a manifest names.
pub trait Files {
    /// Reads a whole file next to the manifest. An implementation may stop
    /// reading beyond [`oci::MAX_BYTES`], the longest accepted file.
    ///
    /// # Errors
    /// The file is missing or unreadable.
    fn read(&mut self, name: &FileName) -> Result<Vec<u8>, FileFault>;
}

/// Compiles `manifest` and its files to a policy for one architecture.
///
/// `context.bounding` is used as the program's bounding set if the manifest
/// leaves capabilities to the caller or to initConfig.
///
/// # Errors
/// The first error: nothing is corrected silently.
pub fn compile(
    name: &str,
    manifest: &[u8],
    files: &mut dyn Files,
    context: Context,
) -> Result<ResolvedPolicy, PolicyFault> {
    compile_with_parts(name, manifest, files, context).map(|(policy, _)| policy)
}

/// As [`compile()`], and returns the sources of the layers.
///
/// # Errors
/// As [`compile()`].
pub fn compile_with_parts(
    name: &str,
    manifest: &[u8],
    files: &mut dyn Files,
    context: Context,
) -> Result<(ResolvedPolicy, Parts), PolicyFault> {
    let text = manifest;
    let manifest = manifest::parse(text)
        .map_err(|fault| PolicyFault::in_text(MANIFEST, text, fault, PolicyErrorKind::Manifest))?;
    let context = Context {
        bounding: match manifest.process.capabilities {
            Capabilities::Keep(set) => set,
            Capabilities::Inherit | Capabilities::InitConfig => context.bounding,
        },
        ..context
    };
    let mut compiler = Compiler {
        text,
        manifest: &manifest,
        files,
        context,
        parts: Parts {
            context,
            profiles: Vec::new(),
            landlock: Vec::new(),
        },
    };
    let policy = ResolvedPolicy {
        name: name.to_owned(),
        ceiling: compiler.layers(LayerSet::Ceiling)?,
        workload: compiler.layers(LayerSet::Workload)?,
        process: manifest.process.clone(),
        preserve_fds: manifest.preserve_fds,
    };
    check(&policy).map_err(|invariant| PolicyFault {
        file: MANIFEST.to_owned(),
        place: None,
        reason: PolicyErrorKind::Invariant(invariant),
    })?;
    Ok((policy, compiler.parts))
}

/// The sources of a policy's layers, used to find the rule that decides.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The context in which conditions were decided.
    pub context: Context,
    /// The seccomp profiles, the ceiling's before the program's.
    pub profiles: Vec<ProfilePart>,
    /// The Landlock rules, in the same order.
    pub landlock: Vec<LandlockPart>,
}

/// A seccomp profile, from text to meaning.
#[derive(Clone, Debug)]
pub struct ProfilePart {
    /// The ceiling or the workload.
    pub layer_set: LayerSet,
    /// Its file name, relative to the manifest.
    pub file: String,
    /// Its text.
    pub text: Vec<u8>,
    /// The parsed profile, with undecided conditions.
    pub conditional: Conditional,
    /// The profile in this context.
    pub profile: Profile,
    /// The profile for 32-bit programs; `None` if the profile does not list
    /// their architecture: then their calls return EPERM.
    pub profile_32_bit: Option<Profile>,
}

/// Landlock rules, from text to meaning.
#[derive(Clone, Debug)]
pub struct LandlockPart {
    /// The ceiling or the workload.
    pub layer_set: LayerSet,
    /// Their file name, relative to the manifest.
    pub file: String,
    /// Its text.
    pub text: Vec<u8>,
    /// The parsed rules.
    pub rules: Landlock,
    /// The positions of the rules.
    pub places: Places,
}

struct Compiler<'a> {
    text: &'a [u8],
    manifest: &'a Manifest,
    files: &'a mut dyn Files,
    context: Context,
    parts: Parts,
}

impl Compiler<'_> {
    fn layers(&mut self, layer_set: LayerSet) -> Result<Layers, PolicyFault> {
        let manifest = self.manifest;
        let sources = match layer_set {
            LayerSet::Ceiling => &manifest.ceiling,
            LayerSet::Workload => &manifest.workload,
        };
        Ok(Layers {
            seccomp: self.seccomp(layer_set, &sources.seccomp)?,
            landlock: self.landlock(layer_set, &sources.landlock)?,
        })
    }

    fn seccomp(
        &mut self,
        layer_set: LayerSet,
        source: &Source,
    ) -> Result<Layer<Program>, PolicyFault> {
        let name = match &source.origin {
            Origin::None { reason } => {
                let reason = reason.clone();
                return Ok(Layer::None { reason });
            }
            Origin::File(name) => name,
        };
        let text = self.read(name, source)?;
        let file = name.as_str();
        let in_file = |fault| PolicyFault::in_text(file, &text, fault, PolicyErrorKind::Seccomp);
        let arch = self.context.arch;
        let conditional = oci::parse(&text).map_err(in_file)?;
        let profile = conditional.resolve(&self.context).map_err(in_file)?;
        let denied = match layer_set {
            LayerSet::Ceiling => needs::denied_to_ceiling(&profile, arch),
            LayerSet::Workload => needs::denied_to_workload(&profile, arch),
        };
        if let Some(call) = denied {
            return Err(self.at(&source.span, PolicyErrorKind::Denies { layer_set, call }));
        }
        let wrong = |fault: CompileFault, place: Option<Place>| PolicyFault {
            file: file.to_owned(),
            place,
            reason: PolicyErrorKind::Compile(fault),
        };
        let mut program = compile::compile(&profile, arch).map_err(|fault| {
            let place = conditional.place(&fault, &self.context);
            let place = place.map(|span| Place::new(&text, span.start));
            wrong(fault, place)
        })?;
        let profile_32_bit = conditional.resolve_32_bit(&self.context);
        if let Some(small) = &profile_32_bit {
            program = compile::compile_with_32_bit(&profile, arch, Some(small))
                .map_err(|fault| wrong(fault, None))?;
        }
        self.parts.profiles.push(ProfilePart {
            layer_set,
            file: file.to_owned(),
            text,
            conditional,
            profile,
            profile_32_bit,
        });
        Ok(Layer::Enforce(program))
    }

    fn landlock(
        &mut self,
        layer_set: LayerSet,
        source: &Source,
    ) -> Result<Layer<LandlockRules>, PolicyFault> {
        let manifest = self.manifest;
        let best_effort: Vec<&BestEffort> = manifest
            .best_effort
            .iter()
            .filter(|best_effort| best_effort.layer_set == layer_set)
            .filter(|best_effort| best_effort.part != Part::Cgroup)
            .collect();
        let name = match &source.origin {
            Origin::None { reason } => {
                if let Some(first) = best_effort.first() {
                    return Err(self.at(&first.span, PolicyErrorKind::NoLayer(layer_set)));
                }
                let reason = reason.clone();
                return Ok(Layer::None { reason });
            }
            Origin::File(name) => name,
        };
        let Some(form) = Form::of(name) else {
            return Err(self.at(&source.span, PolicyErrorKind::Form(name.clone())));
        };
        let text = self.read(name, source)?;
        let (rules, places) = landlock_file::parse_with_places(&text, form).map_err(|fault| {
            PolicyFault::in_text(name.as_str(), &text, fault, PolicyErrorKind::Landlock)
        })?;
        for named in &best_effort {
            match named.part {
                Part::Right(right) if !rules.handled.contains(&right) => {
                    return Err(self.at(&named.span, PolicyErrorKind::NotHandled(right)));
                }
                Part::Log(flag) if !rules.log.contains(&flag) => {
                    return Err(self.at(&named.span, PolicyErrorKind::NotRequested(flag)));
                }
                Part::Layer | Part::Right(_) | Part::Log(_) | Part::Cgroup => {}
            }
        }
        let require = |part: Part| {
            let found = best_effort.iter().find(|named| named.part == part);
            found.map_or(Require::Full, |named| Require::BestEffort {
                reason: named.reason.clone(),
            })
        };
        let handled = |right: &Right| HandledRight {
            right: *right,
            require: require(Part::Right(*right)),
        };
        let flags = |flag: &LogFlag| RequestedLogFlag {
            flag: *flag,
            require: require(Part::Log(*flag)),
        };
        let layer = Layer::Enforce(LandlockRules {
            require: require(Part::Layer),
            handled: rules.handled.iter().map(handled).collect(),
            log: rules.log.iter().map(flags).collect(),
            beneath: rules.beneath.clone(),
            ports: rules.ports.clone(),
        });
        self.parts.landlock.push(LandlockPart {
            layer_set,
            file: name.as_str().to_owned(),
            text,
            rules,
            places,
        });
        Ok(layer)
    }

    fn read(&mut self, name: &FileName, source: &Source) -> Result<Vec<u8>, PolicyFault> {
        self.files.read(name).map_err(|fault| {
            let name = name.clone();
            self.at(&source.span, PolicyErrorKind::File { name, fault })
        })
    }

    /// A fault at a place of the manifest.
    fn at(&self, span: &Range<usize>, reason: PolicyErrorKind) -> PolicyFault {
        PolicyFault {
            file: MANIFEST.to_owned(),
            place: Some(Place::new(self.text, span.start)),
            reason,
        }
    }
}

#[cfg(test)]
mod tests;

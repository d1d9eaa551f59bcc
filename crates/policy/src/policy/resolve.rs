//! A manifest and its files, made ready to apply.

use std::fmt;
use std::ops::Range;

use crate::policy::encode::{Invariant, check};
use crate::policy::landlock_file::{self, Form, Landlock, Places};
use crate::policy::manifest::{self, BestEffort, FileName, Manifest, Origin, Part, Source, Stage};
use crate::policy::needs;
use crate::policy::resolved::{
    AskedLogFlag, Capabilities, HandledRight, LandlockRules, Layer, Layers, LogFlag, Require,
    ResolvedPolicy, Right,
};
use crate::seccomp::compile::{self, CompileFault};
use crate::seccomp::oci::{self, Conditional, Context};
use crate::seccomp::profile::Profile;
use crate::seccomp::program::Program;
use nsexec_text::Fault;

/// The name that a manifest has in a [`PolicyFault`].
pub const MANIFEST: &str = "manifest";

/// Where the files lie that a manifest names.
pub trait Files {
    /// The whole of a file beside the manifest. A caller may stop reading
    /// beyond [`oci::MAX_BYTES`], the longest that is taken.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    fn read(&mut self, name: &FileName) -> Result<Vec<u8>, FileFault>;
}

/// Why a file beside the manifest could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// It is not there.
    Missing,
    /// The system's reason.
    Unreadable(String),
}

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFault {
    /// The file: [`MANIFEST`], or its name beside the manifest.
    pub file: String,
    /// The place in it; `None` when the file as a whole is wrong.
    pub place: Option<Place>,
    /// Why.
    pub reason: PolicyReason,
}

/// A place in a text: both count from 1, the column in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The byte in it.
    pub column: usize,
}

/// Why a policy is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyReason {
    /// The manifest.
    Manifest(manifest::Reason),
    /// A file that it names cannot be read.
    File {
        /// The file.
        name: FileName,
        /// Why.
        fault: FileFault,
    },
    /// A seccomp profile.
    Seccomp(oci::Reason),
    /// A seccomp profile that makes no program.
    Compile(CompileFault),
    /// A filter under which nothing could be executed.
    Denies {
        /// Whose filter.
        stage: Stage,
        /// The call that is needed and denied.
        call: &'static str,
    },
    /// A Landlock rule file.
    Landlock(landlock_file::Reason),
    /// A name of a Landlock rule file that does not say which form it has.
    Form(FileName),
    /// Something may be missing from a layer that is left out.
    NoLayer(Stage),
    /// A right may be missing that is not handled.
    NotHandled(Right),
    /// A log flag may be missing that is not asked for.
    NotAsked(LogFlag),
    /// The policy as a whole.
    Invariant(Invariant),
}

/// The policy that `manifest` and its files are, for one architecture.
///
/// `context.bounding` stands for the program's bounding set when the manifest
/// leaves capabilities to the caller or to initConfig.
///
/// # Errors
/// The first thing that is wrong with it: nothing is put right in silence.
pub fn compile(
    name: &str,
    manifest: &[u8],
    files: &mut dyn Files,
    context: Context,
) -> Result<ResolvedPolicy, PolicyFault> {
    compile_with_parts(name, manifest, files, context).map(|(policy, _)| policy)
}

/// As [`compile()`], with what the layers were made of.
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
        .map_err(|fault| PolicyFault::in_text(MANIFEST, text, fault, PolicyReason::Manifest))?;
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
        ceiling: compiler.layers(Stage::Ceiling)?,
        workload: compiler.layers(Stage::Workload)?,
        process: manifest.process.clone(),
        preserve_fds: manifest.preserve_fds,
    };
    check(&policy).map_err(|invariant| PolicyFault {
        file: MANIFEST.to_owned(),
        place: None,
        reason: PolicyReason::Invariant(invariant),
    })?;
    Ok((policy, compiler.parts))
}

/// What the layers of a policy were made of: tells which rule decides.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What conditions were decided by.
    pub context: Context,
    /// The seccomp profiles, the ceiling's before the program's.
    pub profiles: Vec<ProfilePart>,
    /// The Landlock rules, in the same order.
    pub landlock: Vec<LandlockPart>,
}

/// A seccomp profile, from text to meaning.
#[derive(Clone, Debug)]
pub struct ProfilePart {
    /// The stage that it binds.
    pub stage: Stage,
    /// Its name beside the manifest.
    pub file: String,
    /// What is written there.
    pub text: Vec<u8>,
    /// What that means, conditions open.
    pub conditional: Conditional,
    /// What it means here.
    pub profile: Profile,
    /// What it means for 32-bit programs; `None`: it does not list their
    /// architecture, and their calls answer EPERM.
    pub profile_32_bit: Option<Profile>,
}

/// Landlock rules, from text to meaning.
#[derive(Clone, Debug)]
pub struct LandlockPart {
    /// The stage that they bind.
    pub stage: Stage,
    /// Their name beside the manifest.
    pub file: String,
    /// What is written there.
    pub text: Vec<u8>,
    /// What that means.
    pub rules: Landlock,
    /// Where it stands.
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
    fn layers(&mut self, stage: Stage) -> Result<Layers, PolicyFault> {
        let manifest = self.manifest;
        let sources = match stage {
            Stage::Ceiling => &manifest.ceiling,
            Stage::Workload => &manifest.workload,
        };
        Ok(Layers {
            seccomp: self.seccomp(stage, &sources.seccomp)?,
            landlock: self.landlock(stage, &sources.landlock)?,
        })
    }

    fn seccomp(&mut self, stage: Stage, source: &Source) -> Result<Layer<Program>, PolicyFault> {
        let name = match &source.origin {
            Origin::None { reason } => {
                let reason = reason.clone();
                return Ok(Layer::None { reason });
            }
            Origin::File(name) => name,
        };
        let text = self.read(name, source)?;
        let file = name.as_str();
        let in_file = |fault| PolicyFault::in_text(file, &text, fault, PolicyReason::Seccomp);
        let arch = self.context.arch;
        let conditional = oci::parse(&text).map_err(in_file)?;
        let profile = conditional.resolve(&self.context).map_err(in_file)?;
        let denied = match stage {
            Stage::Ceiling => needs::denied_to_ceiling(&profile, arch),
            Stage::Workload => needs::denied_to_workload(&profile, arch),
        };
        if let Some(call) = denied {
            return Err(self.at(&source.span, PolicyReason::Denies { stage, call }));
        }
        let wrong = |fault: CompileFault, place: Option<Place>| PolicyFault {
            file: file.to_owned(),
            place,
            reason: PolicyReason::Compile(fault),
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
            stage,
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
        stage: Stage,
        source: &Source,
    ) -> Result<Layer<LandlockRules>, PolicyFault> {
        let manifest = self.manifest;
        let best_effort: Vec<&BestEffort> = manifest
            .best_effort
            .iter()
            .filter(|best_effort| best_effort.stage == stage)
            .filter(|best_effort| best_effort.part != Part::Cgroup)
            .collect();
        let name = match &source.origin {
            Origin::None { reason } => {
                if let Some(first) = best_effort.first() {
                    return Err(self.at(&first.span, PolicyReason::NoLayer(stage)));
                }
                let reason = reason.clone();
                return Ok(Layer::None { reason });
            }
            Origin::File(name) => name,
        };
        let Some(form) = Form::of(name) else {
            return Err(self.at(&source.span, PolicyReason::Form(name.clone())));
        };
        let text = self.read(name, source)?;
        let (rules, places) = landlock_file::parse_with_places(&text, form).map_err(|fault| {
            PolicyFault::in_text(name.as_str(), &text, fault, PolicyReason::Landlock)
        })?;
        for named in &best_effort {
            match named.part {
                Part::Right(right) if !rules.handled.contains(&right) => {
                    return Err(self.at(&named.span, PolicyReason::NotHandled(right)));
                }
                Part::Log(flag) if !rules.log.contains(&flag) => {
                    return Err(self.at(&named.span, PolicyReason::NotAsked(flag)));
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
        let asked = |flag: &LogFlag| AskedLogFlag {
            flag: *flag,
            require: require(Part::Log(*flag)),
        };
        let layer = Layer::Enforce(LandlockRules {
            require: require(Part::Layer),
            handled: rules.handled.iter().map(handled).collect(),
            log: rules.log.iter().map(asked).collect(),
            beneath: rules.beneath.clone(),
            ports: rules.ports.clone(),
        });
        self.parts.landlock.push(LandlockPart {
            stage,
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
            self.at(&source.span, PolicyReason::File { name, fault })
        })
    }

    /// A fault at a place of the manifest.
    fn at(&self, span: &Range<usize>, reason: PolicyReason) -> PolicyFault {
        PolicyFault {
            file: MANIFEST.to_owned(),
            place: Some(Place::new(self.text, span.start)),
            reason,
        }
    }
}

impl PolicyFault {
    fn in_text<R>(
        file: &str,
        text: &[u8],
        fault: Fault<R>,
        reason: impl FnOnce(R) -> PolicyReason,
    ) -> Self {
        Self {
            file: file.to_owned(),
            place: Some(Place::new(text, fault.span.start)),
            reason: reason(fault.reason),
        }
    }
}

impl Place {
    /// Of the byte `at`.
    #[must_use]
    pub fn new(text: &[u8], at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |newline| newline + 1);
        Self {
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: before.len() - line_start + 1,
        }
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for PolicyFault {}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "there is no such file beside the manifest"),
            Self::Unreadable(why) => write!(f, "the file cannot be read: {why}"),
        }
    }
}

impl fmt::Display for PolicyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(reason) => write!(f, "{reason}"),
            Self::File { name, fault } => write!(f, "{:?}: {fault}", name.as_str()),
            Self::Seccomp(reason) => write!(f, "{reason}"),
            Self::Compile(fault) => write!(f, "{fault}"),
            Self::Denies { stage, call } => write!(
                f,
                "the {stage}'s filter may deny {call}, which executing a program takes; allow it"
            ),
            Self::Landlock(reason) => write!(f, "{reason}"),
            Self::Form(name) => write!(
                f,
                "{:?} could be in either form; Landlock rules in TOML are in a file *.toml, \
                 in JSON in a file *.json",
                name.as_str()
            ),
            Self::NoLayer(stage) => write!(
                f,
                "the {stage} has no Landlock layer that anything could be missing from; \
                 leave the entry out"
            ),
            Self::NotHandled(right) => write!(
                f,
                "the layer does not handle {:?}; only what it handles may be missing",
                right.name()
            ),
            Self::NotAsked(flag) => write!(
                f,
                "the layer does not ask for {:?}; only what it asks for may be missing",
                flag.name()
            ),
            Self::Invariant(invariant) => write!(f, "{invariant}"),
        }
    }
}

#[cfg(test)]
mod tests;

//! The BPF programs of the probes: their list, loading and attaching.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Mutex;
use std::thread;

use aya::programs::fentry::FEntryLink;
use aya::programs::fexit::FExitLink;
use aya::programs::tp_btf::BtfTracePointLink;
use aya::programs::trace_point::TracePointLink;
use aya::programs::{BtfTracePoint, FEntry, FExit, Iter, Program, ProgramError, TracePoint};
use aya::{Btf, Ebpf};

use super::btf::Kind;
use super::error::ProbeError;
use super::private_mount_ns;
use crate::config::Backend;

/// iter/task, which is attached for each read.
pub(crate) const ITERATOR: &str = "iter_task";

/// The type of a program, and its attachment point.
#[derive(Clone, Copy)]
enum Place {
    Iterator,
    /// tp_btf/NAME, the program's name.
    Typed,
    /// syscalls:NAME
    Tracepoints(&'static [&'static str]),
    Enter(&'static str),
    Exit(&'static str),
}

type Programs = &'static [(&'static str, Place)];

/// Used with every backend, and attached last: they report the namespaces of a task, and
/// must not do so while changes are unobserved.
const ALWAYS: Programs = &[
    (ITERATOR, Place::Iterator),
    ("task_newtask", Place::Typed),
    ("sched_process_exit", Place::Typed),
    ("sched_process_exec", Place::Typed),
];

/// Ends are attached before beginnings, so that no beginning is stored without its end.
const TRACEPOINTS: Programs = &[
    (
        "sys_exit",
        Place::Tracepoints(&[
            "sys_exit_setns",
            "sys_exit_unshare",
            "sys_exit_clone",
            "sys_exit_clone3",
        ]),
    ),
    (
        "sys_enter",
        Place::Tracepoints(&[
            "sys_enter_setns",
            "sys_enter_unshare",
            "sys_enter_clone",
            "sys_enter_clone3",
        ]),
    ),
];

/// In the same order.
const FUNCTIONS: Programs = &[
    ("exit_setns", Place::Exit("__x64_sys_setns")),
    ("exit_unshare", Place::Exit("__x64_sys_unshare")),
    ("exit_clone", Place::Exit("__x64_sys_clone")),
    ("exit_clone3", Place::Exit("__x64_sys_clone3")),
    ("exit_setns_32", Place::Exit("__ia32_sys_setns")),
    ("exit_unshare_32", Place::Exit("__ia32_sys_unshare")),
    ("exit_clone_32", Place::Exit("__ia32_compat_sys_ia32_clone")),
    ("exit_clone3_32", Place::Exit("__ia32_sys_clone3")),
    ("enter_setns", Place::Enter("__x64_sys_setns")),
    ("enter_unshare", Place::Enter("__x64_sys_unshare")),
    ("enter_clone", Place::Enter("__x64_sys_clone")),
    ("enter_clone3", Place::Enter("__x64_sys_clone3")),
    ("enter_setns_32", Place::Enter("__ia32_sys_setns")),
    ("enter_unshare_32", Place::Enter("__ia32_sys_unshare")),
    (
        "enter_clone_32",
        Place::Enter("__ia32_compat_sys_ia32_clone"),
    ),
    ("enter_clone3_32", Place::Enter("__ia32_sys_clone3")),
];

fn of(backend: Backend) -> Programs {
    match backend {
        Backend::Fentry => FUNCTIONS,
        Backend::Tracepoint => TRACEPOINTS,
    }
}

/// The kernel types through which programs are attached.
pub(crate) fn attachable() -> impl Iterator<Item = (String, Kind)> {
    let all = ALWAYS.iter().chain(FUNCTIONS);
    all.filter_map(|(name, place)| match place {
        Place::Iterator => Some(("bpf_iter_task".to_owned(), Kind::Function)),
        Place::Typed => Some((format!("btf_trace_{name}"), Kind::Typedef)),
        Place::Tracepoints(_) => None,
        // Both backends use the same.
        Place::Enter(_) => None,
        Place::Exit(function) => Some(((*function).to_owned(), Kind::Function)),
    })
}

/// Loads the programs of every backend, and those of the requested backend or else the best
/// one that loads.
pub(crate) fn load(
    ebpf: &mut Ebpf,
    types: &Btf,
    requested: Option<Backend>,
) -> Result<Backend, ProbeError> {
    let backend = match requested {
        Some(backend) => backend,
        None => {
            // Whether trampolines load is determined by loading one, which also shows
            // whether all functions exist: a kernel without a 32-bit table lacks some.
            let first = FUNCTIONS.split_at(1).0;
            let tried = load_all(ebpf, types, &[first]);
            match tried.and_then(|()| load_all(ebpf, types, &[FUNCTIONS])) {
                Ok(()) => Backend::Fentry,
                Err(_) => {
                    unload(ebpf, FUNCTIONS);
                    Backend::Tracepoint
                }
            }
        }
    };
    load_all(ebpf, types, &[ALWAYS, of(backend)])?;
    Ok(backend)
}

/// The programs that take longest to verify. They are first, so that no processor is left
/// with one of them at the end.
const LONGEST: [&str; 3] = ["task_newtask", ITERATOR, "sys_exit"];

/// Loads programs on all processors: the verifier takes milliseconds for each.
#[expect(
    clippy::disallowed_methods,
    reason = "it is the helper that must not have threads"
)]
fn load_all(ebpf: &mut Ebpf, types: &Btf, programs: &[Programs]) -> Result<(), ProbeError> {
    let wanted = || programs.iter().copied().flatten();
    for (name, _) in wanted() {
        ebpf.program(name).ok_or_else(|| no_program(name))?;
    }
    let mut queue: Vec<(&'static str, Place, &mut Program)> = ebpf
        .programs_mut()
        .filter_map(|(name, program)| {
            let (name, place) = wanted().find(|(wanted, _)| *wanted == name)?;
            program.fd().is_err().then_some((*name, *place, program))
        })
        .collect();
    // The last one is taken first.
    queue.sort_by_key(|(name, ..)| {
        let place = LONGEST.iter().position(|one| one == name);
        Reverse(place.unwrap_or(LONGEST.len()))
    });
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(queue.len()));
    let queue = Mutex::new(queue);
    let work = || -> Result<(), ProbeError> {
        loop {
            let next = queue.lock().map_or(None, |mut queue| queue.pop());
            let Some((name, place, program)) = next else {
                return Ok(());
            };
            load_one(name, place, program, types)
                .map_err(|error| ProbeError::Program(name, Box::new(error)))?;
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        others.into_iter().fold(own, |result, other| {
            result.and(
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            )
        })
    })
}

/// Unloads programs that are not used.
fn unload(ebpf: &mut Ebpf, programs: Programs) {
    for (name, _) in programs {
        // Unloading fails for programs that were not loaded.
        let _ = match ebpf.program_mut(name) {
            Some(Program::FEntry(program)) => program.unload(),
            Some(Program::FExit(program)) => program.unload(),
            _ => Ok(()),
        };
    }
}

fn load_one(
    name: &str,
    place: Place,
    program: &mut Program,
    types: &Btf,
) -> Result<(), ProgramError> {
    match place {
        Place::Iterator => typed::<Iter>(program)?.load("task", types),
        Place::Typed => typed::<BtfTracePoint>(program)?.load(name, types),
        Place::Tracepoints(_) => typed::<TracePoint>(program)?.load(),
        Place::Enter(function) => typed::<FEntry>(program)?.load(function, types),
        Place::Exit(function) => typed::<FExit>(program)?.load(function, types),
    }
}

fn typed<'a, T>(program: &'a mut Program) -> Result<&'a mut T, ProgramError>
where
    &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
{
    program.try_into()
}

/// Keeps a program attached until it is dropped.
#[expect(dead_code, reason = "they are only dropped")]
pub(crate) enum Link {
    Typed(BtfTracePointLink),
    Tracepoint(TracePointLink),
    Enter(FEntryLink),
    Exit(FExitLink),
}

/// Attaches the loaded programs, in order. The links are in reverse order, the order of
/// their removal.
pub(crate) fn attach(ebpf: &mut Ebpf, backend: Backend) -> Result<Vec<Link>, ProbeError> {
    if backend == Backend::Tracepoint && !private_mount_ns::tracefs_is_mounted() {
        return Err(ProbeError::Tracefs);
    }
    let mut links = Vec::new();
    for (name, place) in of(backend).iter().chain(ALWAYS) {
        attach_one(ebpf, name, *place, &mut links)
            .map_err(|error| ProbeError::Program(name, Box::new(error)))?;
    }
    links.reverse();
    Ok(links)
}

fn attach_one(
    ebpf: &mut Ebpf,
    name: &'static str,
    place: Place,
    links: &mut Vec<Link>,
) -> Result<(), ProgramError> {
    let Some(program) = ebpf.program_mut(name) else {
        return Err(ProgramError::NotLoaded);
    };
    match place {
        Place::Iterator => {}
        Place::Typed => {
            let program = typed::<BtfTracePoint>(program)?;
            let link = program.attach()?;
            links.push(Link::Typed(program.take_link(link)?));
        }
        Place::Tracepoints(names) => {
            let program = typed::<TracePoint>(program)?;
            for name in names {
                let link = program.attach("syscalls", name)?;
                links.push(Link::Tracepoint(program.take_link(link)?));
            }
        }
        Place::Enter(_) => {
            let program = typed::<FEntry>(program)?;
            let link = program.attach()?;
            links.push(Link::Enter(program.take_link(link)?));
        }
        Place::Exit(_) => {
            let program = typed::<FExit>(program)?;
            let link = program.attach()?;
            links.push(Link::Exit(program.take_link(link)?));
        }
    }
    Ok(())
}

/// How often the kernel did not run each program: see
/// [`Probes::missed`](crate::loader::probes::Probes::missed).
pub(crate) fn missed(
    ebpf: &Ebpf,
    backend: Backend,
) -> Result<Vec<(&'static str, u64)>, ProbeError> {
    let all = ALWAYS.iter().chain(of(backend));
    all.map(|(name, _)| {
        let wrong = |error: io::Error| ProbeError::Map(name, error.into());
        let program = ebpf.program(name).ok_or_else(|| no_program(name))?;
        let fd = program
            .fd()
            .map_err(|error| ProbeError::Program(name, Box::new(error)))?;
        let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
        let text = fs::read_to_string(path).map_err(wrong)?;
        text.lines()
            .find_map(|line| line.strip_prefix("recursion_misses:"))
            .and_then(|number| number.trim().parse().ok())
            .map(|number| (*name, number))
            .ok_or_else(|| wrong(io::Error::other("the kernel counts no misses")))
    })
    .collect()
}

pub(crate) fn program<'a, T>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut T, ProbeError>
where
    &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or_else(|| no_program(name))?;
    typed(program).map_err(|error| ProbeError::Program(name, Box::new(error)))
}

fn no_program(name: &'static str) -> ProbeError {
    ProbeError::Object(format!("there is no program {name} in the object").into())
}

//! A policy from a file, compiled by a process without rights.
//!
//! The text of a policy is the least trusted input that a privileged helper reads before its
//! lock-down. So a forked child without capabilities, as user 65534, under a filter of eleven
//! calls, parses and compiles it. The child cannot open anything. It requests the files that the
//! manifest names, by their plain names, and the parent opens them beside the manifest. The parent
//! decodes and checks the child's reply like any outside input.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::errno::Errno;

use super::cannot_clone::clone_error;
use super::filters;
use super::policy_origin::{Loaded, Origin};
use super::trusted_file::TrustedDirectory;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::capability::{Capability, CapabilitySet};
use crate::policy::manifest::FileName;
use crate::policy::resolve::{FileFault, Files};
use crate::policy::resolved::ResolvedPolicy;
use crate::policy::text::PolicyText;
use crate::policy::{self, encode};
use crate::seccomp::oci::Context;
use crate::sys::clone::{Parentage, Side, clone};
use crate::sys::credentials;
use crate::sys::descriptor::{self, Range};
use crate::sys::process::exit_now;
use crate::sys::wait::{Change, WaitMode, change};
use crate::sys::{pidfd, process, seccomp};
use crate::target::procfs_root::read_all;

/// The longest manifest, seccomp profile or Landlock file: Docker's profile is 13 kB, a profile
/// that names each call with each argument below 100 kB.
const MAX_FILE: usize = 1 << 20;
/// How many files one manifest can name.
const MAX_REQUESTS: usize = 8;
/// The longest error message that the child can send.
const MAX_MESSAGE: usize = 4096;
/// nobody.
const NOBODY: u32 = 65534;

/// Compiles the policy in `manifest`.
///
/// # Errors
/// `Policy`: it is wrong; the message names file, line and column.
pub(crate) fn compile(manifest: &Path) -> Result<Loaded> {
    let display = manifest.display().to_string();
    let (directory, name) = TrustedDirectory::of(manifest)?;
    let text = read_all(directory.file(&name)?, MAX_FILE, &display)?;
    let context = context()?;
    let (ours, theirs) = UnixStream::pair().map_err(|error| {
        Error::new(
            ErrorKind::System,
            "cannot create a socket pair for the policy compiler",
        )
        .with_source(error)
    })?;
    let helper = std::process::id();
    match clone(Parentage::Own).map_err(clone_error("the policy compiler"))? {
        Side::Child => {
            drop(ours);
            compile_without_power(helper, &display, &text, context, theirs)
        }
        Side::Parent { child, pidfd } => {
            drop(theirs);
            let answer = serve(ours, &display, &directory, text);
            let _ = pidfd::send_signal(std::os::fd::AsFd::as_fd(&pidfd), libc::SIGKILL);
            while !matches!(
                change(child, WaitMode::Block),
                Ok(Some(Change::Exited(_) | Change::Signaled(_))) | Err(Errno::ECHILD)
            ) {}
            let (policy, text) = answer?;
            let directory = directory.name().to_owned();
            Ok(Loaded {
                policy,
                origin: Origin::Files {
                    text,
                    context,
                    directory,
                },
            })
        }
    }
}

/// The facts that decide conditions in a profile.
fn context() -> Result<Context> {
    // uname(2), not /proc/sys, because a procfs with subset=pid lacks that.
    let names = nix::sys::utsname::uname().map_err(|errno| {
        Error::new(ErrorKind::System, "cannot read the kernel version: uname").with_source(errno)
    })?;
    let release = names.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let kernel = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => {
            let wrong = format!("the kernel version {release:?} does not begin with MAJOR.MINOR");
            return Err(Error::new(ErrorKind::System, wrong));
        }
    };
    let bounding = CapabilitySet::from_bits(u64::MAX)
        .iter()
        .filter(|capability| credentials::is_in_bounding_set(*capability) == Ok(true))
        .fold(CapabilitySet::EMPTY, CapabilitySet::with);
    Ok(Context {
        arch: filters::native()?,
        bounding,
        kernel,
    })
}

/// The child: gives up all rights, compiles, replies.
fn compile_without_power(
    helper: u32,
    name: &str,
    text: &[u8],
    context: Context,
    socket: UnixStream,
) -> ! {
    let Ok(socket) = give_up_power(helper, socket) else {
        exit_now(1)
    };
    let mut parent_files = ParentFiles(socket);
    let compiled = policy::resolve::compile(name, text, &mut parent_files, context);
    let compiled = compiled.map_err(|mut fault| {
        if fault.file == policy::resolve::MANIFEST {
            name.clone_into(&mut fault.file);
        }
        fault
    });
    let answer = match compiled {
        Ok(policy) => encode::encode(&policy).map_err(|fault| fault.to_string()),
        Err(fault) => Err(fault.to_string()),
    };
    let sent = match &answer {
        Ok(bytes) => send(&mut parent_files.0, b'P', bytes),
        Err(message) => send(&mut parent_files.0, b'E', message.as_bytes()),
    };
    exit_now(u8::from(sent.is_err()))
}

fn give_up_power(helper: u32, socket: UnixStream) -> std::result::Result<File, Errno> {
    use std::os::fd::AsRawFd;
    // First of all: a process that is stopped before this outlives the helper.
    process::bind_to(helper)?;
    let filter = filters::policy_child().map_err(|_| Errno::EINVAL)?;
    let kept = u32::try_from(socket.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    descriptor::close_range(0, kept - 1, Range::Close)?;
    descriptor::close_range(kept + 1, u32::MAX, Range::Close)?;
    process::set_undumpable()?;
    process::set_no_new_privs()?;
    // Memory, processor time, and no new files or processes.
    process::set_rlimit(RLIMIT_AS, 1 << 30, 1 << 30)?;
    process::set_rlimit(RLIMIT_CPU, 10, 10)?;
    let can_change_user = credentials::capabilities()?
        .effective
        .contains(Capability::SETUID);
    if can_change_user {
        credentials::set_groups(&[])?;
        credentials::set_gid(NOBODY)?;
        credentials::set_uid(NOBODY)?;
    }
    credentials::keep_only(CapabilitySet::EMPTY)?;
    process::set_undumpable()?;
    // Again: a change of credentials clears it.
    process::bind_to(helper)?;
    seccomp::load(&filter)?;
    // The list allows read(2) and write(2), but neither recv(2) nor send(2).
    Ok(File::from(OwnedFd::from(socket)))
}

/// asm-generic/resource.h
const RLIMIT_CPU: u8 = 0;
const RLIMIT_AS: u8 = 9;

/// The files of a manifest, which the child requests from the parent.
struct ParentFiles(File);

impl Files for ParentFiles {
    fn read(&mut self, name: &FileName) -> std::result::Result<Vec<u8>, FileFault> {
        send(&mut self.0, b'F', name.as_str().as_bytes())
            .map_err(|error| FileFault::Unreadable(error.to_string()))?;
        match receive(&mut self.0, MAX_FILE) {
            Ok((b'C', content)) => Ok(content),
            Ok((b'N', _)) => Err(FileFault::Missing),
            _ => Err(FileFault::Unreadable(
                "the helper did not send the file".to_owned(),
            )),
        }
    }
}

/// The parent: sends files until the reply arrives.
fn serve(
    mut socket: UnixStream,
    display: &str,
    directory: &TrustedDirectory,
    text: Vec<u8>,
) -> Result<(ResolvedPolicy, PolicyText)> {
    let mut all = PolicyText {
        name: display.to_owned(),
        manifest: text,
        files: Vec::new(),
    };
    let broken = || {
        Error::new(
            ErrorKind::Policy,
            format!("the policy {display}: the policy compiler ended without a valid reply"),
        )
    };
    for _ in 0..=MAX_REQUESTS {
        let (kind, content) = receive(&mut socket, encode::MAX_ENCODED).map_err(|_| broken())?;
        match kind {
            b'F' => {
                let name = std::str::from_utf8(&content).ok().and_then(FileName::new);
                let name = name.ok_or_else(broken)?;
                let sent = match directory.file_beneath(Path::new(name.as_str()))? {
                    Some(file) => {
                        let text = read_all(file, MAX_FILE, &name.as_str())?;
                        let sent = send(&mut socket, b'C', &text);
                        all.files.push((name.as_str().to_owned(), text));
                        sent
                    }
                    None => send(&mut socket, b'N', &[]),
                };
                sent.map_err(|_| broken())?;
            }
            b'P' => {
                let policy = encode::decode(&content).map_err(|fault| {
                    Error::new(
                        ErrorKind::Safety,
                        format!("the policy compiler returned an invalid encoding of {display}"),
                    )
                    .with_source(fault)
                })?;
                return Ok((policy, all));
            }
            b'E' => {
                let start = content.get(..MAX_MESSAGE).unwrap_or(&content);
                return Err(Error::new(ErrorKind::Policy, printable_lines(start)));
            }
            _ => return Err(broken()),
        }
    }
    Err(Error::new(
        ErrorKind::Policy,
        format!("the policy {display} names too many files"),
    ))
}

/// A message of the compiler, without control characters that a terminal would obey.
fn printable_lines(message: &[u8]) -> String {
    let printable = |c: char| if c.is_control() && c != '\n' { '?' } else { c };
    let message = String::from_utf8_lossy(message);
    message.chars().map(printable).collect()
}

/// A message: its kind, its length, its content.
fn send(socket: &mut impl Write, kind: u8, content: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(content.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    socket.write_all(&[kind])?;
    socket.write_all(&length.to_ne_bytes())?;
    socket.write_all(content)
}

fn receive(socket: &mut impl Read, limit: usize) -> std::io::Result<(u8, Vec<u8>)> {
    let mut kind = [0];
    socket.read_exact(&mut kind)?;
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_ne_bytes(length)).unwrap_or(usize::MAX);
    if length > limit {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut content = vec![0; length];
    socket.read_exact(&mut content)?;
    Ok((kind[0], content))
}

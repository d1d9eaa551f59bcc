//! The kernel's audit messages: linux/audit.h, linux/netlink.h.
//!
//! Only records about a refusal by Landlock or a kill by seccomp are parsed. The
//! kernel may add fields to a record, so unknown fields are skipped.

use std::fmt;

use nsexec_text::Fault;

/// AUDIT_GET: requests the status.
pub const GET: u16 = 1000;
/// AUDIT_SET: changes it.
pub const SET: u16 = 1001;
/// NLMSG_ERROR: an answer; its first word is 0 or a negative errno.
pub const ANSWER: u16 = 2;
/// AUDIT_STATUS_ENABLED: the field of the status that is set.
const STATUS_ENABLED: u32 = 1;
/// `struct nlmsghdr`
const HEADER: usize = 16;
/// Length of `struct audit_status`; the kernel also accepts a shorter one.
const STATUS_WORDS: usize = 10;

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type: AUDIT_*.
    pub kind: u16,
    /// The payload after the header.
    pub payload: &'a [u8],
}

/// Splits a datagram into messages.
///
/// # Errors
/// A header with an invalid length.
pub fn messages(datagram: &[u8]) -> Result<Vec<Message<'_>>, Fault<AuditErrorKind>> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(rest) = datagram.get(at..).filter(|rest| !rest.is_empty()) {
        let fault = || Fault::new(at..datagram.len(), AuditErrorKind::Length);
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(fault)?;
        let length = usize::try_from(u32::from_ne_bytes(*length)).map_err(|_| fault())?;
        let kind = after.first_chunk::<2>().ok_or_else(fault)?;
        let payload = rest.get(HEADER..length).ok_or_else(fault)?;
        all.push(Message {
            kind: u16::from_ne_bytes(*kind),
            payload,
        });
        // NLMSG_ALIGN; the last one may be shorter than that.
        at += length.next_multiple_of(4);
    }
    Ok(all)
}

/// NLM_F_REQUEST
const REQUEST: u16 = 1;
/// NLM_F_ACK: an [`ANSWER`] is wanted for success too.
const ACK: u16 = 4;

/// A request for the status: answered by a [`GET`], or an [`ANSWER`].
#[must_use]
pub fn get_status() -> Vec<u8> {
    request(GET, REQUEST, &[])
}

/// A request that switches auditing on or off: answered by an [`ANSWER`].
#[must_use]
pub fn set_enabled(enabled: u32) -> Vec<u8> {
    let mut status = [0; STATUS_WORDS];
    status[0] = STATUS_ENABLED;
    status[1] = enabled;
    let bytes: Vec<u8> = status
        .iter()
        .flat_map(|word: &u32| word.to_ne_bytes())
        .collect();
    request(SET, REQUEST | ACK, &bytes)
}

/// Whether audit is on, from a status: 0 off, 1 on, 2 on until reboot.
#[must_use]
pub fn enabled(status: &[u8]) -> Option<u32> {
    let (_, rest) = status.split_first_chunk::<4>()?;
    Some(u32::from_ne_bytes(*rest.first_chunk()?))
}

/// The errno of an answer, 0 for success.
#[must_use]
pub fn answer(payload: &[u8]) -> Option<i32> {
    Some(i32::from_ne_bytes(*payload.first_chunk()?).wrapping_neg())
}

fn request(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
    let mut all = length.to_ne_bytes().to_vec();
    all.extend(kind.to_ne_bytes());
    all.extend(flags.to_ne_bytes());
    // Sequence number and port: one request at a time, and the kernel's choice.
    all.extend([0; 8]);
    all.extend(payload);
    all
}

/// The content of a record, and the event it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The number of the event: records of one call share it.
    pub serial: u64,
    /// The content.
    pub fact: Fact,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// AUDIT_LANDLOCK_ACCESS (1423): a domain denied something.
    Denied {
        /// The domain.
        domain: u64,
        /// The denied access rights: `fs.write_file`, `net.connect_tcp`,
        /// `scope.signal`.
        blockers: Vec<String>,
        /// The object of the access: a path, a port, a process; unescaped.
        object: Vec<u8>,
    },
    /// AUDIT_LANDLOCK_DOMAIN (1424): the process that created a domain.
    Domain {
        /// The domain.
        domain: u64,
        /// The process that created it, in the initial pid namespace.
        pid: u32,
        /// Its file, unescaped.
        exe: Vec<u8>,
    },
    /// AUDIT_SYSCALL (1300): the system call that caused the event.
    Syscall {
        /// Its process.
        pid: u32,
        /// AUDIT_ARCH_*
        arch: u32,
        /// The call.
        number: u32,
    },
    /// AUDIT_SECCOMP (1326): a filter's answer.
    Seccomp {
        /// The process.
        pid: u32,
        /// AUDIT_ARCH_*
        arch: u32,
        /// The call.
        number: u32,
        /// The action: SECCOMP_RET_* without its data.
        action: u32,
    },
    /// AUDIT_EOE (1320): nothing more of this event.
    End,
}

/// Why a message or record is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditErrorKind {
    /// A length that exceeds the datagram, or is too short.
    Length,
    /// It does not begin with `audit(SECONDS:SERIAL): `.
    Event,
    /// A required field is missing or has an invalid value.
    Field(&'static str),
}

/// The record of this kind; `None` for a kind that is not needed.
///
/// # Errors
/// A required field is missing.
pub fn record(kind: u16, text: &[u8]) -> Result<Option<Record>, Fault<AuditErrorKind>> {
    let fault = |reason| Fault::new(0..text.len(), reason);
    if !matches!(kind, 1300 | 1320 | 1326 | 1423 | 1424) {
        return Ok(None);
    }
    let (serial, rest) = event(text).ok_or_else(|| fault(AuditErrorKind::Event))?;
    let fields = Fields(rest);
    let number = |key, radix| {
        let value = fields.get(key)?;
        let digits = std::str::from_utf8(value).ok()?;
        u64::from_str_radix(digits, radix).ok()
    };
    let wide = |key, radix| number(key, radix).ok_or_else(|| fault(AuditErrorKind::Field(key)));
    let narrow = |key, radix| {
        let value = wide(key, radix)?;
        u32::try_from(value).map_err(|_| fault(AuditErrorKind::Field(key)))
    };
    let fact = match kind {
        1300 => Fact::Syscall {
            pid: narrow("pid", 10)?,
            arch: narrow("arch", 16)?,
            number: narrow("syscall", 10)?,
        },
        1326 => {
            let code = fields.get("code").and_then(|code| code.strip_prefix(b"0x"));
            let code = code.and_then(|code| std::str::from_utf8(code).ok());
            let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
            Fact::Seccomp {
                pid: narrow("pid", 10)?,
                arch: narrow("arch", 16)?,
                number: narrow("syscall", 10)?,
                action: code.ok_or_else(|| fault(AuditErrorKind::Field("code")))?,
            }
        }
        1423 => {
            let blockers = fields.get("blockers").and_then(blockers);
            Fact::Denied {
                domain: wide("domain", 16)?,
                blockers: blockers.ok_or_else(|| fault(AuditErrorKind::Field("blockers")))?,
                object: object(&fields),
            }
        }
        // Deallocated: an earlier record named the creator.
        1424 if fields.get("pid").is_none() => return Ok(None),
        1424 => Fact::Domain {
            domain: wide("domain", 16)?,
            pid: narrow("pid", 10)?,
            exe: fields.get("exe").map(unescaped).unwrap_or_default(),
        },
        _ => Fact::End,
    };
    Ok(Some(Record { serial, fact }))
}

/// `audit(1795480809.615:21118): ` in front of the fields.
fn event(text: &[u8]) -> Option<(u64, &[u8])> {
    let rest = text.strip_prefix(b"audit(")?;
    let end = rest.windows(3).position(|three| three == b"): ")?;
    let (stamp, fields) = (rest.get(..end)?, rest.get(end + 3..)?);
    let colon = stamp.iter().position(|byte| *byte == b':')?;
    let serial = std::str::from_utf8(stamp.get(colon + 1..)?).ok()?;
    Some((serial.parse().ok()?, fields))
}

/// `fs.make_reg,fs.refer`: names of the kernel's, never empty.
fn blockers(list: &[u8]) -> Option<Vec<String>> {
    let named = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.');
    let name = |name: &[u8]| {
        let plain = !name.is_empty() && name.iter().all(named);
        plain.then(|| String::from_utf8_lossy(name).into_owned())
    };
    list.split(|byte| *byte == b',').map(name).collect()
}

/// The object of the denial: the path; else address and port, or the other
/// process.
fn object(fields: &Fields<'_>) -> Vec<u8> {
    if let Some(path) = fields.get("path") {
        return unescaped(path);
    }
    if let Some(port) = fields.get("dest").or_else(|| fields.get("src")) {
        return [b"port ", port].concat();
    }
    if let Some(pid) = fields.get("opid") {
        let comm = fields.get("ocomm").map(unescaped).unwrap_or_default();
        return [b"process ", pid, b" (", &comm, b")"].concat();
    }
    match fields.get("dev") {
        Some(device) => [b"device ", unescaped(device).as_slice()].concat(),
        None => Vec::new(),
    }
}

/// `key=value`, separated by spaces. A value in quotation marks contains neither
/// spaces nor quotation marks.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn get(&self, key: &str) -> Option<&'a [u8]> {
        let mut rest = self.0;
        loop {
            let equals = rest.iter().position(|byte| *byte == b'=')?;
            let name = rest.get(..equals)?;
            let after = rest.get(equals + 1..)?;
            let end = match after.strip_prefix(b"\"") {
                Some(quoted) => quoted
                    .iter()
                    .position(|byte| *byte == b'"')
                    .map(|at| at + 2),
                None => after.iter().position(|byte| *byte == b' '),
            };
            let value = after.get(..end.unwrap_or(after.len()))?;
            if name == key.as_bytes() {
                return Some(value);
            }
            rest = after.get(value.len()..)?.trim_ascii_start();
        }
    }
}

/// `audit_log_untrustedstring`: in quotation marks, or in hexadecimal digits
/// when it holds a blank, a mark, a control character or a byte above 0x7e.
fn unescaped(value: &[u8]) -> Vec<u8> {
    if let Some(quoted) = value.strip_prefix(b"\"") {
        return quoted.strip_suffix(b"\"").unwrap_or(quoted).to_vec();
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let (pairs, odd) = value.as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect();
    match bytes {
        Some(bytes) if odd.is_empty() => bytes,
        // `<no-memory>`, `(null)`: unchanged.
        _ => value.to_vec(),
    }
}

impl fmt::Display for AuditErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "the length of a message exceeds the datagram"),
            Self::Event => write!(f, "a record begins with audit(SECONDS:SERIAL)"),
            Self::Field(key) => write!(f, "the record has no readable {key}"),
        }
    }
}

#[cfg(test)]
mod tests;

//! The kernel's audit messages: linux/audit.h, linux/netlink.h.
//!
//! Read are the records that tell of a refusal by Landlock or of a kill by
//! seccomp, as far as they tell it; the kernel may add fields to each, so that
//! unknown ones are passed over.

use std::fmt;

use nsexec_text::Fault;

/// AUDIT_GET: asks for the status.
pub const GET: u16 = 1000;
/// AUDIT_SET: changes it.
pub const SET: u16 = 1001;
/// NLMSG_ERROR: an answer; its first word is 0 or a negative errno.
pub const ANSWER: u16 = 2;
/// AUDIT_STATUS_ENABLED: the field of the status that is set.
const STATUS_ENABLED: u32 = 1;
/// `struct nlmsghdr`
const HEADER: usize = 16;
/// `struct audit_status`, of which the kernel takes a shorter one as well.
const STATUS_WORDS: usize = 10;

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type: AUDIT_*.
    pub kind: u16,
    /// What it says.
    pub payload: &'a [u8],
}

/// The messages of a datagram.
///
/// # Errors
/// A header whose length is none.
pub fn messages(datagram: &[u8]) -> Result<Vec<Message<'_>>, Fault<Reason>> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(rest) = datagram.get(at..).filter(|rest| !rest.is_empty()) {
        let fault = || Fault::new(at..datagram.len(), Reason::Length);
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

/// Whether auditing is on (0 no, 1 yes, 2 yes and for good), from a status.
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

/// What a record tells, and the event that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The number of the event: records of one call share it.
    pub serial: u64,
    /// What it tells.
    pub fact: Fact,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// AUDIT_LANDLOCK_ACCESS (1423): a domain denied something.
    Denied {
        /// The domain.
        domain: u64,
        /// What it denied: `fs.write_file`, `net.connect_tcp`, `scope.signal`.
        blockers: Vec<String>,
        /// To what: a path, a port, a process; unescaped.
        object: Vec<u8>,
    },
    /// AUDIT_LANDLOCK_DOMAIN (1424): who made a domain.
    Domain {
        /// The domain.
        domain: u64,
        /// The process that made it, in the initial pid namespace.
        pid: u32,
        /// Its file, unescaped.
        exe: Vec<u8>,
    },
    /// AUDIT_SYSCALL (1300): the call in which the event came about.
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

/// Why a message or record is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A length that leads out of the datagram, or is too short.
    Length,
    /// It does not begin with `audit(SECONDS:SERIAL): `.
    Event,
    /// A field that a record of this kind has is not there, or is no such value.
    Field(&'static str),
}

/// The record of this kind; `None`: it is of no interest.
///
/// # Errors
/// It lacks what a record of its kind has.
pub fn record(kind: u16, text: &[u8]) -> Result<Option<Record>, Fault<Reason>> {
    let fault = |reason| Fault::new(0..text.len(), reason);
    if !matches!(kind, 1300 | 1320 | 1326 | 1423 | 1424) {
        return Ok(None);
    }
    let (serial, rest) = event(text).ok_or_else(|| fault(Reason::Event))?;
    let fields = Fields(rest);
    let number = |key, radix| {
        let value = fields.get(key)?;
        let digits = std::str::from_utf8(value).ok()?;
        u64::from_str_radix(digits, radix).ok()
    };
    let wide = |key, radix| number(key, radix).ok_or_else(|| fault(Reason::Field(key)));
    let small = |key, radix| {
        let value = wide(key, radix)?;
        u32::try_from(value).map_err(|_| fault(Reason::Field(key)))
    };
    let fact = match kind {
        1300 => Fact::Syscall {
            pid: small("pid", 10)?,
            arch: small("arch", 16)?,
            number: small("syscall", 10)?,
        },
        1326 => {
            let code = fields.get("code").and_then(|code| code.strip_prefix(b"0x"));
            let code = code.and_then(|code| std::str::from_utf8(code).ok());
            let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
            Fact::Seccomp {
                pid: small("pid", 10)?,
                arch: small("arch", 16)?,
                number: small("syscall", 10)?,
                action: code.ok_or_else(|| fault(Reason::Field("code")))?,
            }
        }
        1423 => {
            let blockers = fields.get("blockers").and_then(blockers);
            Fact::Denied {
                domain: wide("domain", 16)?,
                blockers: blockers.ok_or_else(|| fault(Reason::Field("blockers")))?,
                object: object(&fields),
            }
        }
        // Deallocated: who made it was told before.
        1424 if fields.get("pid").is_none() => return Ok(None),
        1424 => Fact::Domain {
            domain: wide("domain", 16)?,
            pid: small("pid", 10)?,
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

/// What was denied: the path; else address and port, or the other process.
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

/// `key=value`, parted by blanks; a value may be in quotation marks, within
/// which there is neither a blank nor a mark that the kernel did not put there.
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
        // `<no-memory>`, `(null)`: as it stands.
        _ => value.to_vec(),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "a message has a length that leads out of it"),
            Self::Event => write!(f, "a record begins with audit(SECONDS:SERIAL)"),
            Self::Field(key) => write!(f, "the record has no {key} that can be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(kind: u16, fields: &str) -> Result<Option<Fact>, Fault<Reason>> {
        let text = format!("audit(1795480809.615:21118): {fields}");
        let found = record(kind, text.as_bytes())?;
        Ok(found.map(|record| {
            assert_eq!(record.serial, 21118);
            record.fact
        }))
    }

    fn denied(blockers: &[&str], object: &[u8]) -> Result<Option<Fact>, Fault<Reason>> {
        Ok(Some(Fact::Denied {
            domain: 0x1_e2d4_2b06,
            blockers: blockers.iter().map(|b| (*b).to_owned()).collect(),
            object: object.to_vec(),
        }))
    }

    /// As Linux 6.18 wrote them.
    #[test]
    fn records_of_landlock_are_read() {
        let read = |fields| fact(1423, fields);
        assert_eq!(
            read(r#"domain=1e2d42b06 blockers=fs.read_file path="/etc/passwd" dev="vda" ino=737"#),
            denied(&["fs.read_file"], b"/etc/passwd")
        );
        assert_eq!(
            read(r#"domain=1e2d42b06 blockers=fs.write_file path=2F746D702F6120620163 dev="vda""#),
            denied(&["fs.write_file"], b"/tmp/a b\x01c")
        );
        assert_eq!(
            read("domain=1e2d42b06 blockers=net.connect_tcp daddr=127.0.0.1 dest=81"),
            denied(&["net.connect_tcp"], b"port 81")
        );
        assert_eq!(
            read("domain=1e2d42b06 blockers=net.bind_tcp saddr=::1 src=8081"),
            denied(&["net.bind_tcp"], b"port 8081")
        );
        assert_eq!(
            read(r#"domain=1e2d42b06 blockers=fs.make_reg,fs.refer path="/usr" dev="vda" ino=1"#),
            denied(&["fs.make_reg", "fs.refer"], b"/usr")
        );
        assert_eq!(
            read(r#"domain=1e2d42b06 blockers=scope.signal opid=1 ocomm="init""#),
            denied(&["scope.signal"], b"process 1 (init)")
        );
        assert_eq!(
            read(r#"domain=1e2d42b06 blockers=fs.change_topology dev="proc" ino=1"#),
            denied(&["fs.change_topology"], b"device proc")
        );
        assert_eq!(
            fact(
                1424,
                r#"domain=1e2d42b06 status=allocated mode=enforcing pid=29688 uid=0 exe="/usr/bin/a" comm="a""#
            ),
            Ok(Some(Fact::Domain {
                domain: 0x1_e2d4_2b06,
                pid: 29688,
                exe: b"/usr/bin/a".to_vec()
            }))
        );
        let gone = "domain=1e2d42b06 status=deallocated denials=10";
        assert_eq!(fact(1424, gone), Ok(None));
    }

    #[test]
    fn records_of_calls_are_read() {
        let syscall = "arch=c000003e syscall=257 success=no exit=-13 a0=ffffff9c a1=7fccb6f06ed0 \
                       a2=80000 a3=0 items=0 ppid=29646 pid=29688 auid=4294967295 uid=0";
        assert_eq!(
            fact(1300, syscall),
            Ok(Some(Fact::Syscall {
                pid: 29688,
                arch: 0xc000_003e,
                number: 257
            }))
        );
        let seccomp = r#"auid=4294967295 uid=0 pid=29689 comm="p syscall=1" exe="/a" sig=31 arch=c000003e syscall=170 compat=0 ip=0x7fccb751c737 code=0x80000000"#;
        assert_eq!(
            fact(1326, seccomp),
            Ok(Some(Fact::Seccomp {
                pid: 29689,
                arch: 0xc000_003e,
                number: 170,
                action: 0x8000_0000
            }))
        );
        assert_eq!(fact(1320, ""), Ok(Some(Fact::End)));
        assert_eq!(fact(1327, "proctitle=41"), Ok(None));
    }

    #[test]
    fn a_record_that_lacks_something_is_none() {
        let reason = |kind, text: &str| record(kind, text.as_bytes()).expect_err(text).reason;
        for text in [
            "",
            "audit(",
            "audit(1.2): a=1",
            "audit(1.2:x): a=1",
            "audit(1.2:3):",
        ] {
            assert_eq!(reason(1320, text), Reason::Event, "{text:?}");
        }
        let fields = |kind, fields: &str| reason(kind, &format!("audit(1.2:3): {fields}"));
        assert_eq!(fields(1423, "blockers=x"), Reason::Field("domain"));
        assert_eq!(
            fields(1423, "domain=1 blockers=a,,b"),
            Reason::Field("blockers")
        );
        assert_eq!(
            fields(1423, "domain=1 blockers=\"a"),
            Reason::Field("blockers")
        );
        assert_eq!(fields(1424, "domain=1 pid=x"), Reason::Field("pid"));
        assert_eq!(fields(1300, "pid=1 arch=1"), Reason::Field("syscall"));
        assert_eq!(fields(1300, "pid=4294967296"), Reason::Field("pid"));
        assert_eq!(
            fields(1326, "pid=1 arch=1 syscall=1 code=80"),
            Reason::Field("code")
        );
    }

    #[test]
    fn datagrams_are_taken_apart_as_they_are_put_together() {
        let mut datagram = request(1423, 0, b"abc");
        datagram.push(0);
        datagram.extend(get_status());
        datagram.extend(set_enabled(1));
        let read = messages(&datagram).expect("three messages");
        let kinds: Vec<u16> = read.iter().map(|message| message.kind).collect();
        assert_eq!(kinds, [1423, GET, SET]);
        assert_eq!(read[0].payload, b"abc");
        assert_eq!(
            (read[1].payload, enabled(read[2].payload)),
            (&[][..], Some(1))
        );
        for cut in [1, 4, 15] {
            let fault = messages(&datagram[..cut]).expect_err("cut");
            assert_eq!(fault.reason, Reason::Length);
        }
        let mut short = get_status();
        short[0] = 15;
        assert!(messages(&short).is_err());
        assert_eq!(messages(&[]), Ok(Vec::new()));
        assert_eq!(answer(&(-libc::EPERM).to_ne_bytes()), Some(libc::EPERM));
        assert_eq!((answer(&[0; 20]), answer(&[1])), (Some(0), None));
        assert_eq!(enabled(&[0; 7]), None);
    }
}

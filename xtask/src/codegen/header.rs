//! The system calls of a kernel header.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Command;

/// The macros that `asm/unistd.h` of 64-bit Arm defines before it includes the
/// generic header (arch/arm64/include/uapi/asm/unistd.h): they enable the older
/// calls that the generic header leaves to each architecture.
pub(super) const ARM64_WANTS: &[&str] = &[
    "__ARCH_WANT_RENAMEAT",
    "__ARCH_WANT_NEW_STAT",
    "__ARCH_WANT_SET_GET_RLIMIT",
    "__ARCH_WANT_SYS_CLONE3",
    "__ARCH_WANT_MEMFD_SECRET",
];

/// The macro that `asm/unistd.h` of 32-bit Arm defines before it includes the
/// EABI calls, arch/arm/include/uapi/asm/unistd.h.
pub(super) const ARM_WANTS: &[&str] = &["__NR_SYSCALL_BASE=0"];

/// `__NR_*` that are no calls: the number after the last call, the first number reserved
/// for architectures, and the base of Arm's private calls.
const NO_CALLS: [&str; 3] = ["syscalls", "arch_specific_syscall", "SYSCALL_BASE"];

/// The maximum expansion depth: headers need two, and a macro that refers to
/// itself would never end.
const DEEPEST: u8 = 8;

/// Names and numbers in `file`, preprocessed with `wants` defined.
pub(super) fn calls(file: &Path, wants: &[&str]) -> io::Result<BTreeMap<String, u32>> {
    let mut command = Command::new("gcc");
    // Prints every macro: the preprocessor evaluates the #ifs.
    command.args(["-E", "-dM", "-x", "c"]);
    for want in wants {
        command.arg(format!("-D{want}"));
    }
    let output = command
        .arg(OsString::from(file))
        .output()
        .map_err(|error| io::Error::other(format!("gcc: {error}")))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("{}: {words}", file.display())));
    }
    numbers(&String::from_utf8_lossy(&output.stdout))
        .map_err(|fault| io::Error::other(format!("{}: {fault}", file.display())))
}

/// The numbers of the calls among `#define NAME VALUE` lines.
fn numbers(macros: &str) -> Result<BTreeMap<String, u32>, String> {
    let defined: BTreeMap<&str, &str> = macros
        .lines()
        .filter_map(|line| line.strip_prefix("#define "))
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .collect();
    let mut calls = BTreeMap::new();
    for (name, value) in &defined {
        let Some(call) = name.strip_prefix("__NR_") else {
            continue;
        };
        if NO_CALLS.contains(&call) {
            continue;
        }
        let number = number(&defined, value, DEEPEST).ok_or_else(|| {
            format!("#define {name} {value}: not a number; expected a decimal, a macro or a sum")
        })?;
        calls.insert(call.to_owned(), number);
    }
    if calls.is_empty() {
        return Err("it defines no __NR_*".to_owned());
    }
    Ok(calls)
}

/// A number, a macro for one, or the sum of two: `__NR3264_fcntl`,
/// `(__NR_arch_specific_syscall + 12)`.
fn number(defined: &BTreeMap<&str, &str>, value: &str, left: u8) -> Option<u32> {
    let left = left.checked_sub(1)?;
    let value = value.trim();
    let inner = value.strip_prefix('(').and_then(|v| v.strip_suffix(')'));
    let value = inner.unwrap_or(value);
    if let Some((one, other)) = value.split_once('+') {
        return number(defined, one, left)?.checked_add(number(defined, other, left)?);
    }
    let value = value.trim();
    value
        .parse()
        .ok()
        .or_else(|| number(defined, defined.get(value)?, left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo;

    #[test]
    fn numbers_are_literals_macros_or_sums() {
        let calls = numbers(
            "#define __NR_read 63\n\
             #define __NR_fcntl __NR3264_fcntl\n\
             #define __NR3264_fcntl 25\n\
             #define __NR_arch_specific_syscall 244\n\
             #define __NR_flush (__NR_arch_specific_syscall + 12)\n\
             #define __NR_syscalls 451\n\
             #define __NR_SYSCALL_BASE 0\n\
             #define __NR_exit (__NR_SYSCALL_BASE + 1)\n\
             #define __SC_3264(_nr,_32,_64) __SYSCALL(_nr, _64)\n\
             #define __linux__ 1\n",
        );
        let expected = [("exit", 1), ("fcntl", 25), ("flush", 256), ("read", 63)];
        let expected = expected.map(|(name, number)| (name.to_owned(), number));
        assert_eq!(calls, Ok(BTreeMap::from(expected)));
    }

    #[test]
    fn an_unknown_value_is_an_error_with_its_name() {
        for wrong in [
            "#define __NR_odd 0x10",
            "#define __NR_odd -1",
            "#define __NR_odd (1 << 3)",
            "#define __NR_odd __NR_nothing",
            "#define __NR_odd __NR_odd",
            "#define __NR_odd __NR_odd + 1",
            "#define __NR_odd 4294967295 + 1",
            "#define __NR_odd ",
            "#define __NR_odd",
        ] {
            let text = format!("#define __NR_read 0\n{wrong}\n");
            let fault = numbers(&text).expect_err(wrong);
            assert!(fault.starts_with(wrong.trim()), "{fault}");
        }
        assert!(numbers("#define __linux__ 1\n").is_err());
        assert!(numbers("").is_err());
    }

    /// The parts of asm-generic/unistd.h in which it differs by architecture.
    const GENERIC: &str = "
        #include <asm/bitsperlong.h>
        #define __NR3264_lseek 62
        #define __NR_read 63
        #ifdef __ARCH_WANT_RENAMEAT
        #define __NR_renameat 38
        #endif
        #ifdef __ARCH_WANT_SYNC_FILE_RANGE2
        #define __NR_sync_file_range2 84
        #else
        #define __NR_sync_file_range 84
        #endif
        #if defined(__ARCH_WANT_NEW_STAT) || defined(__ARCH_WANT_STAT64)
        #define __NR3264_fstatat 79
        #endif
        #define __NR_arch_specific_syscall 244
        #if defined(__SYSCALL_COMPAT) || __BITS_PER_LONG == 32
        #define __NR_clock_gettime64 403
        #endif
        #undef __NR_syscalls
        #define __NR_syscalls 451
        #if __BITS_PER_LONG == 64 && !defined(__SYSCALL_COMPAT)
        #define __NR_lseek __NR3264_lseek
        #define __NR_newfstatat __NR3264_fstatat
        #else
        #define __NR_llseek __NR3264_lseek
        #define __NR_fstatat64 __NR3264_fstatat
        #endif
        ";

    #[test]
    fn arm64_selects_its_part_of_the_generic_header() {
        let file = cargo::scratch().expect("a place").join("unistd.h");
        std::fs::write(&file, GENERIC).expect("written");
        let found = calls(&file, ARM64_WANTS).expect("read");
        let expected = [
            ("lseek", 62),
            ("newfstatat", 79),
            ("read", 63),
            ("renameat", 38),
            ("sync_file_range", 84),
        ];
        let expected = expected.map(|(name, number)| (name.to_owned(), number));
        assert_eq!(found, BTreeMap::from(expected));
        // A call whose macro has no value must not be skipped.
        let fault = calls(&file, &[]).expect_err("no newfstatat").to_string();
        assert!(fault.contains("#define __NR_newfstatat"), "{fault}");
        let none = calls(Path::new("/nowhere/unistd.h"), &[]).expect_err("no file");
        assert!(none.to_string().contains("/nowhere"), "{none}");
    }
}

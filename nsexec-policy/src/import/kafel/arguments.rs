//! The argument names that kafel knows without a declaration: those of the kernel's
//! definitions, for calls that policies restrict by argument.

/// A call and its arguments in their order; `*` marks those of eight bytes;
/// kafel compares only the lower four bytes of the others.
const ARGUMENTS: &[(&str, &str)] = &[
    ("accept4", "fd upeer_sockaddr* upeer_addrlen* flags"),
    ("access", "filename* mode"),
    ("arch_prctl", "code addr*"),
    ("bind", "fd umyaddr* addrlen"),
    ("bpf", "cmd uattr* size"),
    ("chmod", "filename* mode"),
    ("clock_gettime", "which_clock tp*"),
    ("clock_nanosleep", "which_clock flags rqtp* rmtp*"),
    (
        "clone",
        "clone_flags* newsp* parent_tidptr* child_tidptr* tls*",
    ),
    ("close", "fd"),
    ("connect", "fd uservaddr* addrlen"),
    ("dup", "fildes"),
    ("dup2", "oldfd newfd"),
    ("dup3", "oldfd newfd flags"),
    ("epoll_create1", "flags"),
    ("epoll_ctl", "epfd op fd event*"),
    ("eventfd2", "count flags"),
    ("execve", "filename* argv* envp*"),
    ("execveat", "fd filename* argv* envp* flags"),
    ("exit", "error_code"),
    ("exit_group", "error_code"),
    ("faccessat", "dfd filename* mode"),
    ("fchmod", "fd mode"),
    ("fchmodat", "dfd filename* mode"),
    ("fcntl", "fd cmd arg*"),
    ("fstat", "fd statbuf*"),
    ("ftruncate", "fd length*"),
    ("futex", "uaddr* op val utime* uaddr2* val3"),
    ("getrandom", "buf* count* flags"),
    ("getsockopt", "fd level optname optval* optlen*"),
    ("ioctl", "fd cmd arg*"),
    ("keyctl", "option arg2* arg3* arg4* arg5*"),
    ("kill", "pid sig"),
    ("lseek", "fd offset* whence"),
    ("madvise", "start* len_in* behavior"),
    ("memfd_create", "uname* flags"),
    ("mkdir", "pathname* mode"),
    ("mkdirat", "dfd pathname* mode"),
    ("mlockall", "flags"),
    ("mmap", "addr* len* prot* flags* fd* off*"),
    ("mount", "dev_name* dir_name* type* flags* data*"),
    ("mprotect", "start* len* prot*"),
    ("mremap", "addr* old_len* new_len* flags* new_addr*"),
    ("munmap", "addr* len*"),
    ("newfstatat", "dfd filename* statbuf* flag"),
    ("open", "filename* flags mode"),
    ("openat", "dfd filename* flags mode"),
    ("personality", "personality"),
    ("pipe2", "fildes* flags"),
    ("poll", "ufds* nfds timeout_msecs"),
    ("prctl", "option arg2* arg3* arg4* arg5*"),
    ("pread64", "fd buf* count* pos*"),
    ("prlimit64", "pid resource new_rlim* old_rlim*"),
    ("ptrace", "request* pid* addr* data*"),
    ("pwrite64", "fd buf* count* pos*"),
    ("read", "fd buf* count*"),
    ("readv", "fd* vec* vlen*"),
    ("recvfrom", "fd ubuf* size* flags addr* addr_len*"),
    ("recvmsg", "fd msg* flags"),
    ("rt_sigaction", "sig act* oact* sigsetsize*"),
    ("rt_sigprocmask", "how nset* oset* sigsetsize*"),
    ("seccomp", "op flags uargs*"),
    ("sendmsg", "fd msg* flags"),
    ("sendto", "fd buff* len* flags addr* addr_len"),
    ("setgid", "gid"),
    ("setns", "fd nstype"),
    ("setresgid", "rgid egid sgid"),
    ("setresuid", "ruid euid suid"),
    ("setrlimit", "resource rlim*"),
    ("setsockopt", "fd level optname optval* optlen"),
    ("setuid", "uid"),
    ("shutdown", "fd how"),
    ("socket", "family type protocol"),
    ("socketpair", "family type protocol usockvec*"),
    ("tgkill", "tgid pid sig"),
    ("tkill", "pid sig"),
    ("unlinkat", "dfd pathname* flag"),
    ("unshare", "unshare_flags*"),
    ("wait4", "upid stat_addr* options ru*"),
    ("waitid", "which upid infop* options ru*"),
    ("write", "fd buf* count*"),
    ("writev", "fd* vec* vlen*"),
];

/// The index of the argument with this name, and whether it has eight bytes.
pub(super) fn find(call: &str, name: &str) -> Option<(u8, bool)> {
    let at = ARGUMENTS
        .binary_search_by(|(known, _)| (*known).cmp(call))
        .ok()?;
    let (_, arguments) = ARGUMENTS.get(at)?;
    (0..)
        .zip(arguments.split_whitespace())
        .find_map(|(index, written)| {
            let bare = written.trim_end_matches('*');
            (bare == name).then_some((index, bare.len() < written.len()))
        })
}

/// Linux's name of a call for which kafel uses the kernel's internal name.
pub(super) fn renamed(call: &str) -> &str {
    match call {
        "newfstat" => "fstat",
        "newlstat" => "lstat",
        "newstat" => "stat",
        "newuname" => "uname",
        "sendfile64" => "sendfile",
        "sysctl" => "_sysctl",
        "umount" => "umount2",
        call => call,
    }
}

#[cfg(test)]
mod tests {
    use nsexec_policy_engine::seccomp::table::is_known_somewhere;

    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_six_arguments_at_the_most() {
        assert!(ARGUMENTS.is_sorted_by(|a, b| a.0 < b.0));
        for (call, arguments) in ARGUMENTS {
            assert!(is_known_somewhere(call), "{call}");
            let names: Vec<&str> = arguments.split_whitespace().collect();
            assert!((1..=6).contains(&names.len()), "{call}");
        }
    }

    #[test]
    fn arguments_have_a_place_and_a_width() {
        assert_eq!(find("write", "fd"), Some((0, false)));
        assert_eq!(find("write", "count"), Some((2, true)));
        assert_eq!(find("mmap", "off"), Some((5, true)));
        assert_eq!(find("write", "buff"), None);
        assert_eq!(find("getpid", "fd"), None);
        assert_eq!(renamed("newuname"), "uname");
        assert_eq!(renamed("read"), "read");
    }
}

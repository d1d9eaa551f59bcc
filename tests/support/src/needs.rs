//! The requirements of a test. `needs!(root)` ends a test if the requirement is missing,
//! and counts the test as left out.

use std::path::Path;

use super::{features, leave_out};

/// Ends the calling test and counts it as left out, unless the machine meets all of these
/// requirements: functions of this module, such as `needs!(root, feature("NAME"))`.
#[macro_export]
macro_rules! needs {
    ($($need:ident $(($argument:expr))?),+ $(,)?) => {{
        fn here() {}
        let test = $crate::needs::enclosing_test(&here);
        $(
            if !$crate::needs::$need(test $(, $argument)?) {
                return;
            }
        )+
    }};
}
/// The name of the test that contains this function.
pub fn enclosing_test<F>(_here: &F) -> &'static str {
    let path = std::any::type_name::<F>();
    let path = path.strip_suffix("::here").expect("a function of needs!");
    path.rsplit("::").next().expect("a name")
}

fn is_met(met: bool, test: &str, missing: &str) -> bool {
    if !met {
        leave_out(test, missing);
    }
    met
}

/// The tests create targets with new namespaces.
pub fn root(test: &str) -> bool {
    let met = nix::unistd::geteuid().is_root();
    is_met(
        met,
        test,
        "it makes targets with namespaces of their own, as root",
    )
}

/// A cargo that builds for the test.
pub fn cargo(test: &str) -> bool {
    let met = Path::new(env!("CARGO")).exists();
    is_met(met, test, "there is no cargo, which builds for it")
}

/// A row of `nsexec --features`. xtask/src/vm/kernels.rs declares its absence for each
/// kernel.
pub fn feature(test: &str, name: &str) -> bool {
    let met = features::has(name);
    is_met(met, test, &format!("this kernel lacks {name}"))
}

/// A security module of the kernel.
pub fn apparmor(test: &str) -> bool {
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    let met = modules.split(',').any(|module| module.trim() == "apparmor");
    is_met(met, test, "AppArmor is off: lsm= does not name it")
}

/// Kernel auditing is already on. Once auditing has been on, every later process of the
/// machine is slower; so only machines that belong to the tests switch it on.
pub fn auditing(test: &str) -> bool {
    let met = auditing_status() != 0 || std::env::var_os("NSEXEC_TEST_AUDITING").is_some();
    is_met(
        met,
        test,
        "kernel auditing is off here; cargo xtask vm --all has a machine for it",
    )
}

/// audit_status.enabled, over netlink.
pub fn auditing_status() -> u32 {
    use nix::sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
    };
    use std::os::fd::AsRawFd;
    let flags = SockFlag::SOCK_CLOEXEC;
    let protocol = SockProtocol::NetlinkAudit;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).unwrap();
    let request = nsexec_kernel_text::audit::get_status();
    send(socket.as_raw_fd(), &request, MsgFlags::empty()).unwrap();
    let mut buffer = [0; 4096];
    let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap();
    let messages = nsexec_kernel_text::audit::messages(&buffer[..length]).unwrap();
    nsexec_kernel_text::audit::enabled(messages[0].payload).unwrap()
}

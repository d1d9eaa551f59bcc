use super::*;
use crate::runtime_text::ForRuntime;

#[test]
fn every_step_comes_back_from_its_record() {
    for step in Step::ALL {
        let failure = Failure {
            step,
            errno: Errno::EACCES,
            detail: 7,
        };
        assert_eq!(Failure::from_bytes(failure.to_bytes()), Some(failure));
    }
}

#[test]
fn each_attribute_has_its_words() {
    for attribute in Attribute::ALL {
        let failure = Failure::of_attribute((attribute, Errno::EPERM));
        let (_, wrong, _) = attribute.words();
        let error = failure.into_error("true").to_string();
        assert!(error.starts_with(wrong), "{error}");
    }
}

#[test]
fn invalid_bytes_are_no_record() {
    let beyond = u8::try_from(Step::ALL.len()).expect("few steps");
    assert_eq!(
        Failure::from_bytes([beyond, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        None
    );
    assert_eq!(
        Failure::from_bytes([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        None
    );
}

#[test]
fn engines_find_libcontainers_texts() {
    for (step, errno, program, text) in [
        (
            Step::LookUp,
            Errno::ENOENT,
            "tool",
            "exec: \"tool\": executable file not found in $PATH; \
             give a path, or the name of a program in PATH",
        ),
        (
            Step::LookUp,
            Errno::ENOENT,
            "/bin/tool",
            "exec: \"/bin/tool\": stat /bin/tool: no such file or directory; \
             give a path, or the name of a program in PATH",
        ),
        (
            Step::LookUp,
            Errno::EACCES,
            "/etc/passwd",
            "exec: \"/etc/passwd\": permission denied",
        ),
        (
            Step::Execute,
            Errno::EACCES,
            "/bin/tool",
            "exec: \"/bin/tool\": permission denied",
        ),
        (
            Step::Execute,
            Errno::ENOENT,
            "/bin/script",
            "exec: \"/bin/script\": no such file or directory: \
             its interpreter is missing or not executable",
        ),
        (
            Step::Execute,
            Errno::ENOEXEC,
            "/bin/tool",
            "exec: \"/bin/tool\": exec format error",
        ),
        (
            Step::Execute,
            Errno::ELOOP,
            "a\"b",
            "exec: \"a\\\"b\": it cannot be executed: ELOOP: too many symbolic links encountered",
        ),
    ] {
        let error = Failure::new(step, errno).into_error(program);
        assert_eq!(ForRuntime(&error).to_string(), text);
    }
}

#[test]
fn not_found_and_not_executable_have_their_exit_statuses() {
    let status = |step, errno| Failure::new(step, errno).into_error("x").exit_status();
    assert_eq!(status(Step::LookUp, Errno::ENOENT), 127);
    assert_eq!(status(Step::LookUp, Errno::EACCES), 126);
    assert_eq!(status(Step::Execute, Errno::ENOENT), 126);
    assert_eq!(status(Step::Execute, Errno::ENOEXEC), 126);
    assert_eq!(status(Step::CompatProgram, Errno::ENOEXEC), 126);
    assert_eq!(status(Step::Seccomp, Errno::EINVAL), 125);
}

/* libnsexec replaces nsexec.c in a container runtime.
 * Generated from capi/src/lib.rs; do not edit. */

#ifndef NSEXEC_H
#define NSEXEC_H

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Joins the namespaces that the environment names, and returns in the process
 in which the runtime continues. It returns at once if the environment names
 none.

 Call it from a constructor, before the program has a second thread. It uses
 protocol A of runc's libcontainer (2015) if `_LIBCONTAINER_INITPID` is set,
 and protocol B (runc 1.2 and later) if only `_LIBCONTAINER_INITPIPE` is set.
 If a libcontainer of 2015 creates a container
 (`_LIBCONTAINER_INITTYPE=standard`, and neither `_LIBCONTAINER_LOGPIPE` nor
 `_LIBCONTAINER_SYNCPIPE`), the environment names none. The processes that
 only serve the protocol exit with 0 instead of returning; on an error the
 process exits with 1.
 */
void nsexec(void);

/*
 Enforces the ceiling of the policy `libcontainer` before the last clone: a
 seccomp filter and a Landlock domain for the runtime and all its descendants.
 It is for runtimes that only join: under the ceiling, mounts, ptrace and new
 namespaces fail. Call it before nsexec(); it is off by default.
 */
void nsexec_set_ceiling(void);

/*
 For runc 1.1, whose program a container could otherwise overwrite: nsexec()
 then protects the program as the nsexec.c of runc 1.1 does (CVE-2019-5736).
 Unless the program's file is on a read-only mount, nsexec() executes it
 again, with the same arguments and environment, from a read-only clone of
 that mount or from sealed memory.

 After that it sends one NUL on the init pipe, which runc 1.1 waits for before
 it sends protocol B's message. Call it before nsexec(); it is off by default,
 because runc 1.2 and later protect their program themselves, and would read
 the NUL as a wrong answer.
 */
void nsexec_send_leading_nul(void);

/*
 Escapes a string for JSON. It returns the same string if nothing needs an
 escape. Otherwise it frees the string, as runc's function of this name does,
 and returns a new one, which the caller frees with free(3). Without memory it
 exits with 1. It exists for runc's own unit test of its nsexec.c.

 # Safety
 `string` is a C string from malloc(3). No other code changes it during the
 call, or uses it afterwards unless it is returned.
 */
char *escape_json_string(char *string);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NSEXEC_H */

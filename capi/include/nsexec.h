/* libnsexec: what stands in the place of nsexec.c in a container runtime.
 * Made from capi/src/lib.rs; do not edit. */

#ifndef NSEXEC_H
#define NSEXEC_H

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Joins the namespaces that the environment names, and returns in the process
 that the runtime takes over; returns at once when the environment names none.

 Call it from a constructor, before the program has a second thread. It speaks
 protocol A of runc's libcontainer (2015) when `_LIBCONTAINER_INITPID` is set,
 protocol B (runc 1.2 and later) when only `_LIBCONTAINER_INITPIPE` is. A
 libcontainer of 2015 that creates a container (`_LIBCONTAINER_INITTYPE=standard`,
 and neither `_LIBCONTAINER_LOGPIPE` nor `_LIBCONTAINER_SYNCPIPE`) names none. In the
 processes that only serve the protocol, and when something is wrong, it does
 not return: they end, with 0 or 1.
 */
void nsexec(void);

/*
 Puts the ceiling of the policy `libcontainer` in force before the last clone:
 a seccomp filter and a Landlock domain that bind the runtime and all that
 comes from it. For runtimes that only join; under it nothing can be mounted,
 traced, or given new namespaces. Call it before nsexec(); it is off by default.
 */
void nsexec_set_ceiling(void);

/*
 For runc 1.1, whose program a container could overwrite without it: nsexec()
 then protects the program as the nsexec.c of runc 1.1 does (CVE-2019-5736). Unless
 its file lies on a read-only mount, it executes the program again, with the same
 arguments and environment, from a read-only clone of that mount or from sealed
 memory.

 It then tells the runtime with one NUL on the init pipe that protocol B's message
 can come, which runc 1.1 waits for. Call it before nsexec(); it is off by default,
 because runc 1.2 and later protect their program by themselves, and would take the
 NUL for a wrong answer.
 */
void nsexec_send_leading_nul(void);

/*
 Escapes in a string what JSON wants escaped. It returns the same string when there
 is nothing to escape; else a new one, to be freed with free(3), and frees the one
 that it was given, as runc's function of this name does. Without memory it ends the
 process with 1. For runc's own unit test of its nsexec.c.

 # Safety
 `string` is a C string from malloc(3), which nobody changes meanwhile, and which
 nobody uses afterwards unless it is returned.
 */
char *escape_json_string(char *string);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NSEXEC_H */

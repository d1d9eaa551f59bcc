// Package ceiling makes nsenter enforce a ceiling before its last clone: a seccomp
// filter and a Landlock domain for the runtime and all its descendants.
//
//	import _ "github.com/nsexec/nsexec/capi/go/nsenter/ceiling"
//
// It is for runtimes that only join. Under the ceiling, mounts, ptrace, setns and
// new namespaces fail.
package ceiling

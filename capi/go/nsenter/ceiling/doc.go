// Package ceiling has nsenter put a ceiling in force before its last clone: a
// seccomp filter and a Landlock domain that bind the runtime and all that comes
// from it.
//
//	import _ "github.com/nsexec/nsexec/capi/go/nsenter/ceiling"
//
// It is for runtimes that only join. Under it nothing can be mounted or traced,
// and no namespace can be joined or made.
package ceiling

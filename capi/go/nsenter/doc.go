// Package nsenter joins the namespaces of another process before the Go runtime
// starts. A program only has to import it.
//
//	import _ "github.com/nsexec/nsexec/capi/go/nsenter"
//
// It replaces libcontainer's package of that name, and implements its pipe protocols:
// that of 2015 if _LIBCONTAINER_INITPID is set, that of runc 1.2 and later if only
// _LIBCONTAINER_INITPIPE is set. Without either variable it does nothing; the same
// holds if a libcontainer of 2015 creates a container.
// In the process that continues, Go's main and init functions run in the requested
// namespaces. The other processes end before Go starts, and so does a process that
// fails.
//
// It needs cgo, and libnsexec, which it finds through pkg-config. On other
// systems, and without cgo, it builds and does nothing.
package nsenter

// Package nsenter joins the namespaces of another process before the Go runtime
// starts: importing it is all there is to do.
//
//	import _ "github.com/nsexec/nsexec/capi/go/nsenter"
//
// It stands in the place of libcontainer's package of that name, and speaks its
// pipe protocols: that of 2015 when _LIBCONTAINER_INITPID is set, that of runc 1.2
// and later when only _LIBCONTAINER_INITPIPE is. Without either it does nothing, nor
// where a libcontainer of 2015 creates a container.
// In the process that goes on, Go's main and init functions run in the namespaces
// that were asked for; the others, and every failure, end before Go starts.
//
// It needs cgo, and libnsexec, which it finds through pkg-config. Off Linux, and
// without cgo, it builds and does nothing.
package nsenter

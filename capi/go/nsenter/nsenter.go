//go:build linux && cgo && !gccgo

package nsenter

/*
#cgo pkg-config: nsexec
#include <nsexec.h>

// Before Go's runtime starts its threads: namespaces are those of one.
__attribute__((constructor)) void nsexec_nsenter_before_go(void)
{
	nsexec();
}
*/
import "C"

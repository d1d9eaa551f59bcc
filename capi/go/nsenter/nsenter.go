//go:build linux && cgo && !gccgo

package nsenter

/*
#cgo pkg-config: nsexec
#include <nsexec.h>

// Runs before Go's runtime starts its threads, because setns(2) affects one thread only.
__attribute__((constructor)) void nsexec_nsenter_before_go(void)
{
	nsexec();
}
*/
import "C"

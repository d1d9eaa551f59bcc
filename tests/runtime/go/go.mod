module takenover

go 1.18

require github.com/nsexec/nsexec/capi/go/nsenter v0.0.0

replace github.com/nsexec/nsexec/capi/go/nsenter => ../../../capi/go/nsenter

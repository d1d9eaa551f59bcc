module github.com/nsexec/nsexec/capi/go/nsenter

go 1.18

//go:build ceiling

package main

import _ "github.com/nsexec/nsexec/capi/go/nsenter/ceiling"

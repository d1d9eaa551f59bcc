//go:build !linux || !cgo

package ceiling

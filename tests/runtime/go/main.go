// A runtime in Go that only prints its state when it takes over, as runtime.c does.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	_ "github.com/nsexec/nsexec/capi/go/nsenter"
)

func main() {
	session, _, _ := syscall.RawSyscall(syscall.SYS_GETSID, 0, 0, 0)
	fmt.Printf("process=%d\nsid=%d\n", os.Getpid(), session)
	for _, name := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		link, _ := os.Readlink("/proc/self/ns/" + name)
		fmt.Printf("%s=%s\n", name, link)
	}
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if name, value, ok := strings.Cut(line, ":\t"); ok {
			fmt.Printf("%s=%s\n", name, value)
		}
	}
	for _, variable := range os.Environ() {
		fmt.Printf("environ.%s\n", variable)
	}
	if err := syscall.Unshare(syscall.CLONE_NEWUTS); err != nil {
		fmt.Printf("unshare=%v\n", err)
	} else {
		fmt.Println("unshare=allowed")
	}
	if number, err := strconv.Atoi(os.Getenv("_LIBCONTAINER_INITPIPE")); err == nil {
		rest, _ := io.ReadAll(os.NewFile(uintptr(number), "pipe"))
		fmt.Printf("rest=%s\n", rest)
	}
	os.Exit(7)
}

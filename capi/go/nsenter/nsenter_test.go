//go:build linux && cgo

package nsenter

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// The test program itself is the runtime: this code runs after libnsexec returns.
func TestMain(m *testing.M) {
	if os.Getenv("_LIBCONTAINER_INITPIPE") != "" {
		os.Exit(7)
	}
	os.Exit(m.Run())
}

type pids struct {
	Stage1 int `json:"stage1_pid"`
	Stage2 int `json:"stage2_pid"`
}

func native() binary.ByteOrder {
	// Both architectures of libnsexec are little-endian.
	return binary.LittleEndian
}

func attribute(kind uint16, value []byte) []byte {
	var out bytes.Buffer
	_ = binary.Write(&out, native(), []uint16{uint16(4 + len(value)), kind})
	out.Write(value)
	for out.Len()%4 != 0 {
		out.WriteByte(0)
	}
	return out.Bytes()
}

func message(attributes ...[]byte) []byte {
	body := bytes.Join(attributes, nil)
	var out bytes.Buffer
	_ = binary.Write(&out, native(), uint32(16+len(body)))
	_ = binary.Write(&out, native(), []uint16{62000, 1})
	_ = binary.Write(&out, native(), []uint32{1, 0})
	out.Write(body)
	return out.Bytes()
}

// start runs this program as a runtime's child; it returns our end of the pipe.
func start(t *testing.T, env ...string) (*exec.Cmd, *os.File, *bytes.Buffer) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_LOCAL, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	stderr := new(bytes.Buffer)
	cmd := exec.Command("/proc/self/exe")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append([]string{"_LIBCONTAINER_INITPIPE=3"}, env...)
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	t.Cleanup(func() { _ = ours.Close() })
	return cmd, ours, stderr
}

func TestTheRuntimeTakesOver(t *testing.T) {
	cmd, pipe, stderr := start(t)
	flags := make([]byte, 4)
	if _, err := pipe.Write(message(attribute(27281, flags))); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("stage 0: %v: %s", err, stderr)
	}
	var report pids
	decoder := json.NewDecoder(pipe)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&report); err != nil {
		t.Fatal(err)
	}
	for pid, status := range map[int]int{report.Stage1: 0, report.Stage2: 7} {
		var ended syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &ended, 0, nil); err != nil {
			t.Fatal(err)
		}
		if !ended.Exited() || ended.ExitStatus() != status {
			t.Errorf("%d ended with %v, not with exit status %d", pid, ended, status)
		}
	}
}

func TestAWrongNamespaceEndsBeforeGoStarts(t *testing.T) {
	cmd, pipe, stderr := start(t)
	flags := make([]byte, 4)
	paths := append([]byte("net:/proc/self/ns/pid"), 0)
	if _, err := pipe.Write(message(attribute(27281, flags), attribute(27282, paths))); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if failed, ok := err.(*exec.ExitError); !ok || failed.ExitCode() != 1 {
		t.Fatalf("%v: %s", err, stderr)
	}
	if !strings.HasPrefix(stderr.String(), "FATAL: ") {
		t.Errorf("%q", stderr)
	}
}

func TestAPidWithoutAPipeIsAnError(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"_LIBCONTAINER_INITPID=1"}
	err := cmd.Run()
	if failed, ok := err.(*exec.ExitError); !ok || failed.ExitCode() != 1 {
		t.Fatalf("%v", err)
	}
}

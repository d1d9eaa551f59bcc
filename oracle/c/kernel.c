/* The kernel as an oracle: the actions of a filter for calls, none of which is
 * executed.
 *
 * In: u32 length, that many struct sock_filter, then calls of seven u64: the
 * number and six arguments. A number with bit 32 is made as i386's. Out: one i32 a call: the errno, 0 for a result that
 * is none, TRAPPED, or KILLED.
 *
 * Each child first loads a filter that answers NOT_EXECUTED to all but
 * seccomp(2), write(2) and exit_group(2), and the filter in question on top of
 * it: among equal actions the newer filter's errno is seen, so NOT_EXECUTED
 * means that the filter in question would allow the call. The caller leaves the
 * three exceptions out. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_EXECUTED = 4095, TRAPPED = 10000, KILLED = 10001, UNANSWERED = 10002 };

struct call {
    unsigned long long number, arguments[6];
};

static sigjmp_buf back;

static void trapped(int signal) {
    (void)signal;
    siglongjmp(back, 1);
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* A call of 32-bit programs; the result as syscall(2) returns it. */
static long small_call(unsigned number, const unsigned long long *a) {
#ifdef __x86_64__
    long result = number;
    /* Away from what the compiler keeps below the stack pointer. */
    __asm__ volatile("lea -128(%%rsp), %%rsp\n push %%rbp\n mov 40(%[a]), %%rbp\n int $0x80\n"
                     "pop %%rbp\n lea 128(%%rsp), %%rsp"
                     : "+a"(result)
                     : "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4]), [a] "r"(a)
                     : "memory", "cc", "r8", "r9", "r10", "r11");
    int errno_or_value = (int)result;
    if (errno_or_value >= 0 || errno_or_value < -4095) return errno_or_value;
    errno = -errno_or_value;
    return -1;
#else
    (void)number, (void)a;
    die("32-bit calls");
    return 0;
#endif
}

static void load(const struct sock_filter *filter, unsigned length) {
    struct sock_fprog program = {.len = length, .filter = (struct sock_filter *)filter};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) _exit(1);
}

int main(void) {
    static const struct sock_filter nothing[] = {
        /* No call of i386, which has other numbers. */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 4, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | NOT_EXECUTED),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    unsigned length;
    static struct sock_filter filter[BPF_MAXINSNS];
    if (fread(&length, sizeof length, 1, stdin) != 1 || length > BPF_MAXINSNS) die("length");
    if (fread(filter, sizeof *filter, length, stdin) != length) die("filter");
    size_t capacity = 1 << 16, count = 0, got;
    struct call *calls = malloc(capacity * sizeof *calls);
    while ((got = fread(calls + count, sizeof *calls, capacity - count, stdin)) > 0) {
        count += got;
        if (count == capacity) {
            capacity *= 2;
            calls = realloc(calls, capacity * sizeof *calls);
        }
        if (!calls) die("memory");
    }
    /* Shared with the children: a filter may deny every other way to report. */
    size_t bytes = (count + 1) * sizeof(int);
    volatile int *answers =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile size_t *at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (answers == MAP_FAILED || at == MAP_FAILED) die("mmap");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("prctl");
    while (*at < count) {
        pid_t child = fork();
        if (child < 0) die("fork");
        if (child == 0) {
            struct sigaction action = {.sa_handler = trapped, .sa_flags = SA_NODEFER};
            sigaction(SIGSYS, &action, NULL);
            load(nothing, sizeof nothing / sizeof *nothing);
            load(filter, length);
            for (; *at < count; ++*at) {
                const struct call *c = &calls[*at];
                answers[*at] = UNANSWERED;
                /* No mask is saved: restoring it would be a system call. */
                if (sigsetjmp(back, 0)) {
                    answers[*at] = TRAPPED;
                    continue;
                }
                const unsigned long long *a = c->arguments;
                long result = c->number >> 32
                                  ? small_call((unsigned)c->number, a)
                                  : syscall(c->number, a[0], a[1], a[2], a[3], a[4], a[5]);
                answers[*at] = result == -1 ? errno : 0;
            }
            _exit(0);
        }
        int status;
        if (waitpid(child, &status, 0) != child) die("waitpid");
        if (*at < count) {
            if (answers[*at] != UNANSWERED || !WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
                fprintf(stderr, "call %zu: status %#x, answer %d\n", *at, status, answers[*at]);
                return 1;
            }
            answers[*at] = KILLED;
            ++*at;
        }
    }
    if (fwrite((const void *)answers, sizeof(int), count, stdout) != count) die("answers");
    return 0;
}

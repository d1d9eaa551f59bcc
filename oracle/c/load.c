/* Measures how long the kernel takes to load filters.
 *
 * In: u32 rounds, u32 contenders, and for each of these u32 filters, and for
 * each of those u32 length and that many struct sock_filter: loaded in this
 * order. Out: for each round and contender two u64, nanoseconds of all its
 * seccomp(2) calls together: caches warm, and cold.
 *
 * A filter cannot be unloaded, so each load is a child's first. Warm: the child
 * before it did the same. Cold: it has read more memory than a core's own caches
 * hold. Each round begins with another contender. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FILTERS = 32, OTHER_MEMORY = 64 << 20, CACHE_LINE = 64 };

struct contender {
    unsigned filters;
    struct sock_fprog filter[MAX_FILTERS];
};

static const volatile char *other;
static volatile unsigned long long *taken;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static unsigned number(void) {
    unsigned value;
    if (fread(&value, sizeof value, 1, stdin) != 1) die("a number");
    return value;
}

static void *shared(size_t bytes, const char *what) {
    int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) die(what);
    return memory;
}

static void read_contender(struct contender *c) {
    c->filters = number();
    if (c->filters > MAX_FILTERS) die("too many filters");
    for (unsigned i = 0; i < c->filters; ++i) {
        unsigned length = number();
        if (length > BPF_MAXINSNS) die("too long a filter");
        struct sock_filter *filter = calloc(length, sizeof *filter);
        if (!filter || fread(filter, sizeof *filter, length, stdin) != length) die("a filter");
        c->filter[i] = (struct sock_fprog){.len = length, .filter = filter};
    }
}

static unsigned long long load(const struct contender *c, int cold) {
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
        for (size_t at = 0; cold && at < OTHER_MEMORY; at += CACHE_LINE) (void)other[at];
        struct timespec start, end;
        int failed = 0;
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (unsigned i = 0; i < c->filters; ++i)
            failed |= syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &c->filter[i]) != 0;
        clock_gettime(CLOCK_MONOTONIC, &end);
        *taken = (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec;
        _exit(failed);
    }
    int status;
    if (waitpid(child, &status, 0) != child) die("waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status)) die("a filter was not loaded");
    return *taken;
}

int main(void) {
    unsigned rounds = number(), contenders = number();
    struct contender *all = calloc(contenders, sizeof *all);
    size_t answers = 2ul * rounds * contenders;
    unsigned long long *answer = calloc(answers, sizeof *answer);
    if (!all || !answer) die("memory");
    for (unsigned i = 0; i < contenders; ++i) read_contender(&all[i]);
    other = shared(OTHER_MEMORY, "other memory");
    taken = shared(sizeof *taken, "an answer");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("prctl");
    for (unsigned round = 0; round < rounds; ++round) {
        for (unsigned place = 0; place < contenders; ++place) {
            unsigned i = (round + place) % contenders;
            unsigned long long *both = &answer[2 * (round * contenders + i)];
            load(&all[i], 0);
            both[0] = load(&all[i], 0);
            both[1] = load(&all[i], 1);
        }
    }
    if (fwrite(answer, sizeof *answer, answers, stdout) != answers) die("answers");
    return 0;
}

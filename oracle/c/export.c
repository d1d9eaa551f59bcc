/* libseccomp as an oracle: builds a filter from rules and prints its BPF.
 *
 * In, line by line, numbers as strtoull(3) takes them:
 *   default ACTION
 *   arch TOKEN                                 instead of the native one: AUDIT_ARCH_*
 *   tree                                       search calls by halving
 *   rule ACTION NUMBER [ARG OP VALUE VALUE2]... OP is enum scmp_compare
 *   rule ACTION NAME ...                       of an architecture that is not native
 *   number TOKEN NAME                          print libseccomp's number of the call
 *   time                                       build it, and print nanoseconds
 * Out: struct sock_filter, as seccomp_export_bpf(3) writes it, at the end of the
 * lines; nothing, when there was a "time" or a "number". */
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_RULES = 16384 };

static unsigned default_action, arch, tree, rules;
static struct rule {
    unsigned action, conditions;
    int number;
    struct scmp_arg_cmp condition[6];
} rule[MAX_RULES];

static void fail(const char *what, int error) {
    fprintf(stderr, "%s: %s\n", what, strerror(-error));
    exit(1);
}

static const char *next(void) {
    const char *word = strtok(NULL, " \n");
    if (!word) fail("a word is missing", 0);
    return word;
}

static unsigned long long number(void) { return strtoull(next(), NULL, 0); }

/* libseccomp takes the native number of a call, or its own for one that the native
 * architecture lacks, and translates by the name. */
static int call(void) {
    const char *word = next();
    if (*word >= '0' && *word <= '9') return strtoul(word, NULL, 0);
    int found = seccomp_syscall_resolve_name(word);
    if (found == __NR_SCMP_ERROR) fail(word, 0);
    return found;
}

static void read_rule(void) {
    if (rules == MAX_RULES) fail("too many rules", 0);
    struct rule *r = &rule[rules++];
    *r = (struct rule){.action = number()};
    r->number = call();
    const char *word;
    while ((word = strtok(NULL, " \n")) && r->conditions < 6) {
        struct scmp_arg_cmp *condition = &r->condition[r->conditions++];
        condition->arg = strtoul(word, NULL, 0);
        condition->op = number();
        condition->datum_a = number();
        condition->datum_b = number();
    }
    /* libseccomp refuses a rule with the action of the default. */
    if (r->action == default_action) --rules;
}

static scmp_filter_ctx build(int out) {
    scmp_filter_ctx filter = seccomp_init(default_action);
    if (!filter) fail("seccomp_init", 0);
    if (arch) {
        int error = seccomp_arch_remove(filter, SCMP_ARCH_NATIVE);
        if (!error) error = seccomp_arch_add(filter, arch);
        if (error) fail("seccomp_arch_add", error);
    }
    int error = tree ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) : 0;
    if (error) fail("seccomp_attr_set", error);
    for (const struct rule *r = rule; r < rule + rules; ++r) {
        error = seccomp_rule_add_array(filter, r->action, r->number, r->conditions, r->condition);
        if (error) fail("seccomp_rule_add_array", error);
    }
    error = seccomp_export_bpf(filter, out);
    if (error) fail("seccomp_export_bpf", error);
    return filter;
}

static void time_it(void) {
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere < 0) fail("/dev/null", 0);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    scmp_filter_ctx filter = build(nowhere);
    clock_gettime(CLOCK_MONOTONIC, &end);
    seccomp_release(filter);
    close(nowhere);
    printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
    fflush(stdout);
}

int main(void) {
    static char line[65536];
    int answered = 0;
    while (fgets(line, sizeof line, stdin)) {
        const char *word = strtok(line, " \n");
        if (!word) continue;
        if (!strcmp(word, "default")) {
            default_action = number();
        } else if (!strcmp(word, "arch")) {
            arch = number();
        } else if (!strcmp(word, "tree")) {
            tree = 1;
        } else if (!strcmp(word, "rule")) {
            read_rule();
        } else if (!strcmp(word, "number")) {
            answered = 1;
            unsigned token = number();
            printf("%d\n", seccomp_syscall_resolve_name_arch(token, next()));
        } else if (!strcmp(word, "time")) {
            answered = 1;
            time_it();
        } else {
            fail(word, 0);
        }
    }
    if (!answered) seccomp_release(build(1));
    return 0;
}

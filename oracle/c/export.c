/* libseccomp as an oracle: builds a filter from rules and prints its BPF.
 *
 * In, line by line, numbers as strtoull(3) takes them:
 *   default ACTION
 *   tree                                       search calls by halving
 *   rule ACTION NUMBER [ARG OP VALUE VALUE2]... OP is enum scmp_compare
 *   time                                       build it, and print nanoseconds
 * Out: struct sock_filter, as seccomp_export_bpf(3) writes it, at the end of the
 * lines; nothing, when there was a "time". */
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_RULES = 16384 };

static unsigned default_action, tree, rules;
static struct rule {
    unsigned action, number, conditions;
    struct scmp_arg_cmp condition[6];
} rule[MAX_RULES];

static void fail(const char *what, int error) {
    fprintf(stderr, "%s: %s\n", what, strerror(-error));
    exit(1);
}

static unsigned long long number(void) {
    const char *word = strtok(NULL, " \n");
    if (!word) fail("a number is missing", 0);
    return strtoull(word, NULL, 0);
}

static void read_rule(void) {
    if (rules == MAX_RULES) fail("too many rules", 0);
    struct rule *r = &rule[rules++];
    *r = (struct rule){.action = number()};
    r->number = number();
    const char *word;
    while ((word = strtok(NULL, " \n")) && r->conditions < 6) {
        struct scmp_arg_cmp *condition = &r->condition[r->conditions++];
        condition->arg = strtoul(word, NULL, 0);
        condition->op = number();
        condition->datum_a = number();
        condition->datum_b = number();
    }
    /* libseccomp refuses a rule that says what the default says. */
    if (r->action == default_action) --rules;
}

static scmp_filter_ctx build(int out) {
    scmp_filter_ctx filter = seccomp_init(default_action);
    if (!filter) fail("seccomp_init", 0);
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
    int timed = 0;
    while (fgets(line, sizeof line, stdin)) {
        const char *word = strtok(line, " \n");
        if (!word) continue;
        if (!strcmp(word, "default")) {
            default_action = number();
        } else if (!strcmp(word, "tree")) {
            tree = 1;
        } else if (!strcmp(word, "rule")) {
            read_rule();
        } else if (!strcmp(word, "time")) {
            timed = 1;
            time_it();
        } else {
            fail(word, 0);
        }
    }
    if (!timed) seccomp_release(build(1));
    return 0;
}

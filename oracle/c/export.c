/* libseccomp as an oracle: builds a filter from rules and prints its BPF.
 *
 * In: "default ACTION\n", then "rule ACTION NUMBER [ARG OP VALUE VALUE2]...\n",
 * numbers as strtoull(3) takes them; OP is libseccomp's enum scmp_compare.
 * Out: struct sock_filter, as seccomp_export_bpf(3) writes it. */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, int error) {
    fprintf(stderr, "%s: %s\n", what, strerror(-error));
    exit(1);
}

int main(void) {
    static char line[65536];
    scmp_filter_ctx filter = NULL;
    unsigned default_action = 0;
    while (fgets(line, sizeof line, stdin)) {
        char *word = strtok(line, " \n");
        if (!word) continue;
        if (!strcmp(word, "default")) {
            default_action = strtoul(strtok(NULL, " \n"), NULL, 0);
            filter = seccomp_init(default_action);
            if (!filter) fail("seccomp_init", 0);
            continue;
        }
        unsigned action = strtoul(strtok(NULL, " \n"), NULL, 0);
        int number = strtol(strtok(NULL, " \n"), NULL, 0);
        struct scmp_arg_cmp conditions[6];
        unsigned count = 0;
        while ((word = strtok(NULL, " \n")) && count < 6) {
            struct scmp_arg_cmp *condition = &conditions[count++];
            condition->arg = strtoul(word, NULL, 0);
            condition->op = strtoul(strtok(NULL, " \n"), NULL, 0);
            condition->datum_a = strtoull(strtok(NULL, " \n"), NULL, 0);
            condition->datum_b = strtoull(strtok(NULL, " \n"), NULL, 0);
        }
        /* libseccomp refuses a rule that says what the default says. */
        if (action == default_action) continue;
        int error = seccomp_rule_add_array(filter, action, number, count, conditions);
        if (error) fail("seccomp_rule_add_array", error);
    }
    int error = seccomp_export_bpf(filter, 1);
    if (error) fail("seccomp_export_bpf", error);
    return 0;
}

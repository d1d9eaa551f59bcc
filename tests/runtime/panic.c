/* A panic in libnsexec must not unwind into C: no clean-up, no exit handler. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void nsexec_panic_for_test(void);

static void cleaned_up(int *unused)
{
	(void)unused;
	(void)!write(1, "cleaned up\n", 11);
}

static void at_exit(void)
{
	(void)!write(1, "at exit\n", 8);
}

static void call(void)
{
	__attribute__((cleanup(cleaned_up))) int here = 0;
	(void)here;
	nsexec_panic_for_test();
	(void)!write(1, "after\n", 6);
}

int main(void)
{
	atexit(at_exit);
	(void)!write(1, "before\n", 7);
	call();
	return 0;
}

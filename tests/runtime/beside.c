/* A runtime that links a second static library in Rust, beside libnsexec. */
#include <nsexec.h>

int beside(void);

__attribute__((constructor)) static void before_main(void)
{
	nsexec();
}

int main(void)
{
	return beside();
}

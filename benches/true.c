/* The program whose exec is timed: it does nothing. */
int main(void)
{
	return 0;
}

/* One test at a time: they measure time, and Criterion 2.4 leaks a few bytes of its
 * own, which LeakSanitizer reports, when one that talks much ends beside another. */
#include <stdlib.h>

static void __attribute__((constructor)) run_one_at_a_time(void)
{
    (void)setenv("CRITERION_JOBS", "1", 0);
}

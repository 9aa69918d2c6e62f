#include <criterion/criterion.h>
#include <stdlib.h>

Test(example, three_nodes_runs_to_its_end)
{
    cr_assert_eq(system(EXAMPLE_PROGRAM " >/dev/null"), 0);
}

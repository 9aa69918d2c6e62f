/* Verdicts on registers: right histories, and wrong ones of each sort. */
#include "told.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(register, one_after_the_other)
{
    told_is_valid("1 get k 1 2 absent\n"
                  "1 put k 10 20 ok a\n"
                  "2 get k 30 40 ok a\n"
                  "2 put k 50 60 ok b\n"
                  "1 get k 70 80 ok b\n"
                  "1 remove k 90 100 ok\n"
                  "2 get k 110 120 absent\n");
}

Test(register, a_read_beside_a_write_sees_either)
{
    told_is_valid("1 put k 10 20 ok a\n"
                  "1 put k 30 60 ok b\n"
                  "2 get k 40 50 ok a\n");
    told_is_valid("1 put k 10 20 ok a\n"
                  "1 put k 30 60 ok b\n"
                  "2 get k 40 50 ok b\n");
}

Test(register, writes_side_by_side_come_in_any_order)
{
    told_is_valid("1 put k 10 40 ok a\n"
                  "2 put k 20 30 ok b\n"
                  "3 get k 50 60 ok a\n");
    told_is_valid("1 put k 10 40 ok a\n"
                  "2 put k 20 30 ok b\n"
                  "3 get k 50 60 ok b\n");
}

/* The end of one call and the begin of the next at the same instant: no order. */
Test(register, calls_that_touch_are_side_by_side)
{
    told_is_valid("1 put k 10 20 ok a\n"
                  "2 get k 20 30 absent\n");
}

Test(register, a_stale_read_is_seen)
{
    told_is_invalid("1 put k 10 20 ok a\n"
                    "1 put k 30 40 ok b\n"
                    "2 get k 50 60 ok a\n",
                    "no order");
    told_is_invalid("1 put k 10 20 ok a\n"
                    "2 get k 30 40 absent\n",
                    "no order");
}

/* Both reads are beside the write, but the second begins after the first. */
Test(register, reads_that_go_back_are_seen)
{
    told_is_invalid("1 put k 1 2 ok a\n"
                    "1 put k 10 100 ok b\n"
                    "2 get k 20 30 ok b\n"
                    "3 get k 40 50 ok a\n",
                    "no order");
}

Test(register, a_lost_update_is_seen)
{
    told_is_invalid("1 put k 10 20 ok a\n"
                    "2 put k 30 40 ok b\n"
                    "3 put k 50 60 ok c\n"
                    "1 get k 70 80 ok c\n"
                    "1 get k 90 95 ok b\n",
                    "no order");
    told_is_invalid("1 put k 10 20 ok a\n"
                    "2 remove k 30 40 ok\n"
                    "3 get k 50 60 ok a\n",
                    "no order");
}

Test(register, a_read_from_the_future_is_seen)
{
    told_is_invalid("2 get k 10 20 ok a\n"
                    "1 put k 30 40 ok a\n",
                    "before anybody wrote it");
}

Test(register, a_value_from_nowhere_is_seen)
{
    told_is_invalid("1 put k 10 20 ok a\n"
                    "2 get k 30 40 ok b\n",
                    "nobody wrote it");
}

/* Applied once when it was asked for and once more, behind another's write. */
Test(register, a_write_applied_twice_is_seen)
{
    told_is_invalid("1 put k 10 - unknown a\n"
                    "2 get k 20 30 ok a\n"
                    "2 put k 40 50 ok b\n"
                    "2 get k 60 70 ok b\n"
                    "2 get k 80 90 ok a\n",
                    "no order");
}

Test(register, an_unknown_write_has_happened_or_not)
{
    told_is_valid("1 put k 10 20 ok a\n"
                  "1 put k 30 - unknown b\n"
                  "2 get k 50 60 ok a\n");
    told_is_valid("1 put k 10 20 ok a\n"
                  "1 put k 30 - unknown b\n"
                  "2 get k 50 60 ok b\n");
}

Test(register, an_unknown_write_may_happen_much_later)
{
    told_is_valid("1 put k 10 20 ok a\n"
                  "1 put k 30 - unknown b\n"
                  "2 get k 50 60 ok a\n"
                  "2 put k 70 80 ok c\n"
                  "2 get k 90 100 ok c\n"
                  "2 get k 110 120 ok b\n");
}

Test(register, an_unknown_write_does_not_happen_before_it_was_asked_for)
{
    told_is_invalid("1 put k 10 20 ok a\n"
                    "2 get k 30 40 ok b\n"
                    "1 put k 50 - unknown b\n",
                    "before anybody wrote it");
}

Test(register, once_an_unknown_write_was_seen_it_has_happened)
{
    told_is_invalid("1 put k 10 20 ok a\n"
                    "1 put k 30 - unknown b\n"
                    "2 get k 50 60 ok b\n"
                    "2 get k 70 80 ok a\n",
                    "no order");
}

Test(register, an_unknown_remove_explains_one_absence_and_no_second)
{
    told_is_valid("1 put k 10 20 ok a\n"
                  "1 remove k 30 - unknown\n"
                  "2 get k 50 60 ok a\n"
                  "2 get k 70 80 absent\n");
    told_is_invalid("1 put k 10 20 ok a\n"
                    "1 remove k 30 - unknown\n"
                    "2 get k 70 80 absent\n"
                    "2 put k 90 100 ok b\n"
                    "2 get k 110 120 ok b\n"
                    "2 get k 130 140 absent\n",
                    "no order");
}

Test(register, two_unknown_removes_explain_two_absences)
{
    told_is_valid("1 put k 10 20 ok a\n"
                  "1 remove k 30 - unknown\n"
                  "3 remove k 31 - unknown\n"
                  "2 get k 70 80 absent\n"
                  "2 put k 90 100 ok b\n"
                  "2 get k 110 120 ok b\n"
                  "2 get k 130 140 absent\n");
}

Test(register, of_creators_side_by_side_one_wins)
{
    told_is_valid("1 create k 10 40 ok \n"
                  "2 create k 20 30 present \n"
                  "3 create k 15 35 present \n");
    told_is_invalid("1 create k 10 40 ok \n"
                    "2 create k 20 30 ok \n",
                    "no order");
    told_is_invalid("1 create k 10 40 present \n"
                    "2 create k 20 30 present \n",
                    "no order");
}

Test(register, an_unknown_creator_may_be_the_winner)
{
    told_is_valid("1 create k 10 - unknown \n"
                  "2 create k 20 30 present \n"
                  "3 get k 40 50 ok \n");
    told_is_invalid("1 create k 10 - unknown \n"
                    "2 create k 20 30 present \n"
                    "3 create k 40 50 ok \n",
                    "no order");
}

Test(register, what_was_removed_can_be_created_again)
{
    told_is_valid("1 create k 10 20 ok \n"
                  "2 remove k 30 40 present\n"
                  "3 create k 50 60 ok \n");
    told_is_invalid("1 create k 10 20 ok \n"
                    "2 remove k 30 40 absent\n"
                    "3 create k 50 60 ok \n",
                    "no order");
}

Test(register, of_two_who_remove_one_finds_it)
{
    told_is_valid("1 put k 10 20 ok a\n"
                  "2 remove k 30 50 present\n"
                  "3 remove k 35 45 absent\n");
    told_is_invalid("1 put k 10 20 ok a\n"
                    "2 remove k 30 50 present\n"
                    "3 remove k 35 45 present\n",
                    "no order");
}

Test(register, presence_alone_is_looked_at)
{
    told_is_valid("1 create k 10 20 ok \n"
                  "2 get k 30 40 present\n");
    told_is_invalid("1 create k 10 20 ok \n"
                    "1 remove k 30 40 ok\n"
                    "2 get k 50 60 present\n",
                    "no order");
}

Test(register, opening_to_create_changes_only_what_is_absent)
{
    told_is_valid("1 ensure k 10 20 ok \n"
                  "2 get k 30 40 ok \n"
                  "1 put k 50 60 ok a\n"
                  "2 ensure k 70 80 ok \n"
                  "2 get k 90 95 ok a\n");
    told_is_invalid("1 put k 50 60 ok a\n"
                    "2 ensure k 70 80 ok \n"
                    "2 get k 90 95 ok \n",
                    "no order");
}

/* To place the second put of the unseen value before the remove would be a mistake. */
Test(register, a_write_that_changes_nothing_may_yet_have_to_wait)
{
    told_is_valid("1 put k 10 20 ok a\n"
                  "2 put k 30 90 ok b\n"
                  "3 remove k 40 50 present\n"
                  "3 get k 60 95 present\n");
}

/* As many as a partition leaves behind, none of which is to be seen. */
Test(register, many_unknown_outcomes_do_not_outgrow_the_limits)
{
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    for (int i = 0; i < 200; i++) {
        (void)fprintf(file, "%d put k %d - unknown u%d\n", 10 + i, 1 + i, i);
        (void)fprintf(file, "%d remove k %d - unknown\n", 1000 + i, 1 + i);
        (void)fprintf(file, "1 put k %d %d ok v%d\n", 1000 + 10 * i, 1004 + 10 * i, i);
        (void)fprintf(file, "2 get k %d %d ok v%d\n", 1005 + 10 * i, 1008 + 10 * i, i);
    }
    (void)fclose(file);
    told_is_valid(text);
    free(text);
}

Test(register, what_cannot_be_decided_within_the_limit_is_not_valid)
{
    cr_assert_eq(told_verdict("1 put k 10 20 ok a\n"
                              "2 get k 30 40 ok a\n",
                              2),
                 LIN_UNDECIDED);
}

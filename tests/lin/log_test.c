/* Verdicts on logs. */
#include "told.h"

#include <criterion/criterion.h>

Test(log, one_after_the_other)
{
    told_is_valid("1 read l 1 2 absent\n"
                  "1 append l 10 20 ok a\n"
                  "2 read l 30 40 ok a\n"
                  "2 append l 50 60 ok b\n"
                  "1 read l 70 80 ok a,b\n");
}

Test(log, tokens_side_by_side_come_in_any_order)
{
    told_is_valid("1 append l 10 40 ok a\n"
                  "2 append l 20 30 ok b\n"
                  "1 read l 70 80 ok a,b\n");
    told_is_valid("1 append l 10 40 ok a\n"
                  "2 append l 20 30 ok b\n"
                  "1 read l 70 80 ok b,a\n");
}

Test(log, an_order_against_time_is_seen)
{
    told_is_invalid("1 append l 10 20 ok a\n"
                    "2 append l 30 40 ok b\n"
                    "1 read l 70 80 ok b,a\n",
                    "acknowledged before");
}

Test(log, a_stale_read_is_seen)
{
    told_is_invalid("1 append l 10 20 ok a\n"
                    "2 append l 30 40 ok b\n"
                    "1 read l 50 60 ok a\n"
                    "1 read l 70 80 ok a,b\n",
                    "later read has not seen it");
    told_is_invalid("1 append l 10 20 ok a\n"
                    "1 read l 50 60 absent\n",
                    "not there");
}

Test(log, reads_that_go_back_are_seen)
{
    told_is_invalid("1 append l 10 100 ok a\n"
                    "2 read l 20 30 ok a\n"
                    "3 read l 40 50 absent\n",
                    NULL);
}

Test(log, a_read_from_the_future_is_seen)
{
    told_is_invalid("2 read l 10 20 ok a\n"
                    "1 append l 30 40 ok a\n",
                    "later");
}

Test(log, a_token_that_is_there_twice_is_seen)
{
    told_is_invalid("1 append l 10 20 ok a\n"
                    "2 append l 30 40 ok b\n"
                    "1 read l 50 60 ok a,b,a\n",
                    "twice");
}

Test(log, a_token_that_nobody_appended_is_seen)
{
    told_is_invalid("1 append l 10 20 ok a\n"
                    "1 read l 50 60 ok a,x\n",
                    "nobody appended it");
    told_is_invalid("1 read l 50 60 ok x\n", "nobody appended it");
}

Test(log, a_token_that_was_acknowledged_and_is_lost_is_seen)
{
    told_is_invalid("1 append l 10 20 ok a\n"
                    "2 append l 30 40 ok b\n"
                    "1 read l 50 60 ok a\n",
                    "is not there");
    told_is_invalid("1 append l 10 20 ok a\n"
                    "2 append l 30 40 ok b\n"
                    "1 read l 50 60 ok b\n",
                    "is not there");
}

Test(log, reads_that_disagree_are_seen)
{
    told_is_invalid("1 append l 10 100 ok a\n"
                    "2 append l 10 100 ok b\n"
                    "3 append l 10 100 ok c\n"
                    "4 read l 50 60 ok a\n"
                    "5 read l 50 60 ok b,c\n",
                    "disagree");
    /* No token is the beginning of another. */
    told_is_invalid("1 append l 10 100 ok a\n"
                    "2 append l 10 100 ok aa\n"
                    "4 read l 50 60 ok a\n"
                    "5 read l 50 60 ok aa,a\n",
                    "disagree");
}

Test(log, an_unknown_append_is_there_once_or_not_at_all)
{
    told_is_valid("1 append l 10 - unknown a\n"
                  "2 append l 30 40 ok b\n"
                  "2 read l 50 60 ok b\n");
    told_is_valid("1 append l 10 - unknown a\n"
                  "2 append l 30 40 ok b\n"
                  "2 read l 50 60 ok b\n"
                  "2 read l 70 80 ok b,a\n");
    told_is_invalid("1 append l 10 - unknown a\n"
                    "2 append l 30 40 ok b\n"
                    "2 read l 50 60 ok a,b,a\n",
                    "twice");
    told_is_invalid("2 append l 30 40 ok b\n"
                    "2 read l 50 60 ok b,a\n"
                    "1 append l 70 - unknown a\n",
                    "later");
}

Test(log, an_append_beside_the_last_read_may_come_behind_it)
{
    told_is_valid("1 append l 10 20 ok a\n"
                  "2 append l 30 90 ok b\n"
                  "1 read l 50 60 ok a\n");
}

Test(log, a_token_is_appended_by_one)
{
    told_is_invalid("1 append l 10 20 ok a\n"
                    "2 append l 30 40 ok a\n",
                    "by two");
}

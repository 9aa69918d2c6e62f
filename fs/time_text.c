#include "fs/time_text.h"

#include <stdio.h>
#include <time.h>

#define NS_PER_S  1000000000
#define NS_PER_US 1000

const char *time_text(int64_t wall_ns, char *out)
{
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    struct tm utc = {0};
    char date[TIME_TEXT_MAX / 2];

    gmtime_r(&seconds, &utc);
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out, TIME_TEXT_MAX, "%s.%06dZ", date, (int)(wall_ns % NS_PER_S / NS_PER_US));
    return out;
}

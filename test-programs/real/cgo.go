// Does a Go program whose threads take their memory from malloc, and which handles its own faults, run as natively?
package main

/*
#include <stdlib.h>
#include <string.h>
extern int called(int);
static int work(int n)
{
    char *blocks[64];
    int sum = 0;
    for (int i = 0; i < 64; i++)
        memset(blocks[i] = malloc(20000), i + n, 20000);
    for (int i = 0; i < 64; i++)
        sum += blocks[i][19999] + called(i);
    for (int i = 0; i < 64; i++)
        free(blocks[i]);
    return sum;
}
*/
import "C"

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

//export called
func called(n C.int) C.int { return n * 2 }

func wrongAccess() (said string) {
	defer func() { said = fmt.Sprint(recover()) }()
	var nowhere *int
	*nowhere = 1
	return "no fault"
}

func main() {
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGUSR1)
	sums := make([]int, 16)
	var all sync.WaitGroup
	for i := range sums {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			runtime.LockOSThread()
			for k := 0; k < 5; k++ {
				sums[i] += int(C.work(C.int(i)))
			}
		}(i)
	}
	all.Wait()
	fmt.Println(sums, wrongAccess())
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	select {
	case came := <-signals:
		fmt.Println(came)
	case <-time.After(5 * time.Second):
		fmt.Println("lost")
	}
	said, err := exec.Command("/bin/echo", "a child").Output()
	fmt.Println(string(said), err)
}

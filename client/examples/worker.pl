#!/usr/bin/env perl
# A worker in Perl, for a pool with `protocol: lines`. What functions print with warn goes to their task's log; nothing but results may be
# printed to stdout.
use strict;
use warnings;
use JSON::PP;

$| = 1;
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

my %functions = (
    count_words => sub { my %seen; $seen{ lc $_ }++ for map { /\w+/g } @_; return \%seen },
    reverse     => sub { return scalar reverse $_[0] },
);

sub call {
    my ($function) = @_;
    my $code = $functions{ $function->{name} }
        or return { kind => 'REJECTED', error => { type => 'UnknownFunction', message => "there is no function $function->{name}" } };
    my $value = eval { $code->( @{ $function->{args} // [] } ) };
    return { kind => 'RAISED', error => { type => 'die', message => "$@" } } if $@;
    return { kind => 'RETURNED', value => $value };
}

sub say_line { print $json->encode( $_[0] ), "\n" }

say_line( { hello => { agent => 'worker.pl', functions => [ sort keys %functions ] } } );
while ( my $line = <STDIN> ) {
    my $task = $json->decode($line)->{task} or next;
    my $outcome = call( $task->{spec}{function} );
    say_line( { result => { task => $task->{task}, attempt => $task->{attempt}, outcome => $outcome } } );
}
